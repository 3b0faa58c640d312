"""Does the gate let the right models through: each month of flights, against the model of the first two."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from perenne.cases import flights
from perenne.common import model, periods
from perenne.common.block import Block, declared
from perenne.common.cut import Cut
from perenne.documents.verdict import Intent
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.judge import evidence, judge
from perenne.gate.policy import GateSection, Policy
from perenne.gate.rules import Rules
from perenne.pipeline import train
from perenne.pipeline.split import labelled
from perenne.stats import spending
from tests.bench_drift import case

INTENTS: tuple[Intent, ...] = ("better", "fresher")


class Trained(NamedTuple):
    """A model, what it learned from, and the mean target there."""

    pipeline: Pipeline
    months: list[pd.Period]
    mean: float


class Bench:
    """The flights by month, and the case's own window, policy and contract."""

    def __init__(self) -> None:
        """Read them all: a few seconds."""
        self.params, self.contract = case("flights")
        self.policy = Policy.of(GateSection.model_validate(self.params.gate), self.params.tolerance)
        rows = labelled(flights.flights()[list(self.contract.columns)], self.contract.target)
        rows = rows.astype({self.contract.target: "int64"})
        self.by = dict(list(rows.groupby(periods.of(rows[self.contract.time], self.contract.period))))

    def trained(self, as_of: pd.Period) -> Trained:
        """Return the model that the pipeline would make with this `as_of`."""
        split = self.params.split
        cut = Cut(as_of, split.window, split.holdout, self.contract.label_delay)
        months = [month for month in self.by if cut.part(month) == "train"]
        rows = pd.concat([self.by[month] for month in months], ignore_index=True)
        mean = float(rows[self.contract.target].mean())
        return Trained(train.train(rows, self.params.train, self.contract), months, mean)

    def seen(self, new: Trained, old: Trained, month: pd.Period, alpha: float) -> Evidence:
        """Return both models on the flights of a month."""
        rows = self.by[month]
        sides = [
            Contender(name, model.predict(side.pipeline, rows, self.contract), 1)
            for name, side in (("challenger", new), ("champion", old))
        ]
        return evidence(
            rows,
            self.contract,
            declared(self.contract) or Block(),
            sides[0],
            sides[1:],
            champion=True,
            mean=new.mean,
            policy=self.policy,
            alpha=alpha,
        )


def months() -> str:
    """Return what the gate says of each month's challenger, and what the month after then says."""
    bench = Bench()
    champion = bench.trained(pd.Period(bench.params.split.as_of))
    later = [month for month in bench.by if month > pd.Period(bench.params.split.as_of)]
    lines = [
        f"flights: monthly challengers against the model of {champion.months[0]} and {champion.months[-1]}; "
        "gain: its log loss less ours",
        f"{'holdout':9}{'learned from':>18}{'gain [95 %]':>28}"
        + "".join(f"{answer:>13}" for answer in ("new > old", "paired test", *INTENTS))
        + f"{'gain in the next month':>28}   fresher, why not",
    ]
    found = [row(bench, champion, month) for month in tqdm(later, desc="challengers", unit="month")]
    return "\n".join([*lines, *found])


def row(bench: Bench, champion: Trained, month: pd.Period) -> str:
    """Return the line of one month."""
    challenger = bench.trained(month)
    alpha = spending.alpha(1, bench.policy.alpha, bench.policy.alpha)
    seen = bench.seen(challenger, champion, month, alpha)
    # Latency depends on the machine and is not asked here.
    rules = bench.policy.rules.model_copy(update={"latency": None})
    policy = bench.policy.model_copy(update={"rules": rules})
    alone = policy.model_copy(update={"rules": Rules(improvement=rules.improvement)})
    verdicts = {intent: judge(seen, policy, intent) for intent in INTENTS}
    answers = [
        "eligible" if seen.gain(seen.opponents[0]).value > 0 else "rejected",
        judge(seen, alone, "better").answer,
        *(verdicts[intent].answer for intent in INTENTS),
    ]
    then = gain(bench.seen(challenger, champion, month + 1, alpha)) if month + 1 in bench.by else "-"
    why = [f.rule for f in verdicts["fresher"].findings if f.answer != "pass"]
    learned = f"{challenger.months[0]}, {challenger.months[-1]}"
    return (
        f"{month!s:9}{learned:>18}{gain(seen):>28}"
        + "".join(f"{answer:>13}" for answer in answers)
        + f"{then:>28}   {', '.join(why)}"
    )


def gain(seen: Evidence) -> str:
    """Return the gain with its two-sided 95 % interval."""
    found = seen.gain(seen.opponents[0])
    low, high = found.bounds(0.025)
    return f"{found.value:+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    print(months())
