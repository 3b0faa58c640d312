"""What a gate costs on a million holdout rows, beyond scoring them."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pandas as pd

from perenne.cases import retirement
from perenne.common import model
from perenne.common.block import Block, declared
from perenne.gate import judge, ledger
from perenne.gate.evidence import Contender
from perenne.gate.policy import GateSection, Policy
from perenne.pipeline import train
from tests.bench_drift import case

Done = TypeVar("Done")

ROWS = 1_000_000
SCALE = 36  # companies of which three quarters make that many rows


def table() -> str:
    """Return the seconds of each part of a gate, and how they compare with scoring both models."""
    p, contract = case("retirement")
    quarters = [
        rows for _, rows in retirement.simulate(pd.Period("2019Q1"), pd.Period("2019Q4"), seed=0, scale=SCALE)
    ]
    rows = pd.concat(quarters[:3], ignore_index=True).iloc[:ROWS].astype({contract.target: "int64"})
    sample = rows.sample(20_000, random_state=0)
    models = [train.train(sample.iloc[i:], p.train, contract) for i in (0, 10_000)]
    one = rows.iloc[[0]]
    scored, seconds = timed(lambda: [model.predict(each, rows, contract) for each in models])
    sides = [
        Contender(name, scores, 1, partial(model.predict, each, one, contract))
        for name, scores, each in zip(("challenger", "champion"), scored, models, strict=True)
    ]
    policy = Policy.of(GateSection.model_validate(p.gate), p.tolerance)
    _, hashing = timed(lambda: ledger.hashes(rows, contract))
    seen, seeing = timed(
        lambda: judge.evidence(
            rows,
            contract,
            declared(contract) or Block(),
            sides[0],
            sides[1:],
            champion=True,
            mean=0.1,
            policy=policy,
            alpha=0.03,
        )
    )
    verdict, judging = timed(lambda: judge.judge(seen, policy, "better"))
    parts = {"hashes of the batches": hashing, "blocks and slices": seeing, "all rules": judging}
    total = sum(parts.values())
    return "\n".join(
        [
            f"a gate on {len(rows):,} rows in {seen.blocks.number:,} blocks, {len(seen.slices)} slices, "
            f"all rules asked: {verdict.answer}",
            *(f"  {name:24}{spent:6.2f} s" for name, spent in parts.items()),
            f"  {'together':24}{total:6.2f} s   (goal: 3 s or less)",
            f"  {'scoring both models':24}{seconds:6.2f} s",
        ]
    )


def timed(work: Callable[[], Done]) -> tuple[Done, float]:
    """Return what work returns, and the seconds it took."""
    start = time.perf_counter()
    done = work()
    return done, time.perf_counter() - start


if __name__ == "__main__":
    print(table())
