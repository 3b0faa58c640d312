"""What the covariate tests promise, by simulation: false alarms, power, and seconds beside Evidently's.

`repeats` pairs of consecutive batches are compared with a reference each; both batches see the same one,
as in the pipeline. Intervals are exact 95 % binomial ones. Seeds are fixed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from perenne.stats.multiplicity import Looks, flagged
from perenne.stats.tally import cut, tally
from perenne.stats.two_sample import Test, compare

COLUMNS = 20
Draw: TypeAlias = Callable[[np.random.Generator, int], pd.DataFrame]
Tests: TypeAlias = dict[tuple[str, str], Test]


def normal(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw 20 independent normal columns."""
    return pd.DataFrame(rng.normal(size=(rows, COLUMNS)), columns=[f"x{k}" for k in range(COLUMNS)])


def missing(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw the same, each value missing with a chance of 10 %."""
    return normal(rng, rows).mask(rng.random((rows, COLUMNS)) < 0.1)


def categories(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw 20 columns of 50 categories, the commonest ten times as frequent as the rarest."""
    share = np.geomspace(10, 1, 50)
    codes = rng.choice(50, size=(rows, COLUMNS), p=share / share.sum())
    return pd.DataFrame(
        {f"x{k}": pd.Categorical.from_codes(c, pd.RangeIndex(50)) for k, c in enumerate(codes.T)}
    )


def moved(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Draw normal columns of which the first has moved by 0.3 standard deviations."""
    columns = normal(rng, rows)
    columns["x0"] += 0.3
    return columns


def everything(reference: pd.DataFrame, batches: list[pd.DataFrame]) -> list[Tests]:
    """Compare each batch with the reference, which is counted once: (column, test) -> the test."""
    found: list[Tests] = [{} for _ in batches]
    for name, column in reference.items():
        edges = None if isinstance(column.dtype, pd.CategoricalDtype) else cut(column)
        before = tally(column, edges)
        for batch, tests in zip(batches, found, strict=True):
            after = tally(batch[name], edges)
            tests |= {(str(name), test.name): test for test in compare(before, after)}
    return found


def twice_in_a_row(first: Tests, second: Tests) -> dict[tuple[str, str], float]:
    """Return the looks in the second of two batches that are as large as their reference."""
    looks = Looks[tuple[str, str]]()
    looks.update(first, shared=0.5)
    return looks.update(second, shared=0.5)


def looks(before: Draw, after: Draw, rows: int, repeats: int) -> tuple[int, int]:
    """Return in how many runs the first batch alone is flagged, and how many looks persist."""
    once = twice = 0
    for seed in range(repeats):
        rng = np.random.default_rng([rows, seed])
        first, second = everything(before(rng, rows), [after(rng, rows), after(rng, rows)])
        once += bool(flagged(first))
        twice += bool(twice_in_a_row(first, second))
    return once, twice


def finds(rows: int, repeats: int) -> tuple[int, int]:
    """Return in how many runs the column that moved is flagged in the first batch, and persists."""
    once = twice = 0
    for seed in range(repeats):
        rng = np.random.default_rng([rows, seed])
        first, second = everything(normal(rng, rows), [moved(rng, rows), moved(rng, rows)])
        once += ("x0", "distribution") in flagged(first)
        twice += ("x0", "distribution") in twice_in_a_row(first, second)
    return once, twice


def interval(count: int, runs: int) -> str:
    """Write a share with its exact 95 % interval, in per cent.

    >>> interval(1, 100)
    ' 1.0 [  0.0,   5.4]'
    """
    low, high = stats.binomtest(count, runs).proportion_ci()
    return f"{count / runs:5.1%} [{low:6.1%}, {high:6.1%}]".replace("%", "")


def table(repeats: int = 250, rows: int = 100_000) -> str:
    """Return the promises and what the simulations say, as text; `rows` a side for the cost."""
    with threadpool_limits(1):  # small matrices: more threads only wait for each other
        return "\n".join([*_promises(repeats), *_cost(rows)])


def _promises(repeats: int) -> Iterator[str]:
    yield f"{COLUMNS} columns, % of runs [95 % interval]     a single batch         twice in a row   runs"
    for draw in (normal, missing, categories):
        for rows in (500, 5_000, 50_000):
            runs = repeats if rows < 50_000 else max(repeats // 2, 1)
            yield _line(f"no drift, {draw.__name__}, {rows:,} rows", looks(draw, draw, rows, runs), runs)
    for rows in (500, 2_000):
        runs = 2 * repeats
        yield _line(f"one moved by 0.3 sd, {rows:,} rows", finds(rows, runs), runs)


def _line(what: str, counts: tuple[int, int], runs: int) -> str:
    once, twice = (interval(count, runs) for count in counts)
    return f"{what:<38} {once:>22} {twice:>22} {runs:>6}"


# Each in a process of its own, for a peak of its own. Prints seconds, and MB over what the data took (Linux).
MEASURE = """
import resource, sys, time
import numpy as np, pandas as pd
from threadpoolctl import threadpool_limits
from tests import bench_covariates as bench

rows, kind = int(sys.argv[1]), sys.argv[2]
run = getattr(bench, kind)
rng = np.random.default_rng(1)
frames = bench.normal(rng, rows), bench.normal(rng, rows)
run(*(frame.head(2_000) for frame in frames))  # imports are not what is measured
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1024
start = time.perf_counter()
with threadpool_limits(1):
    run(*frames)
seconds = time.perf_counter() - start
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def ours(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Run every univariate test of ours."""
    everything(reference, [current])


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> None:
    """Run Evidently's preset with its defaults."""
    # No types are published for it; importing takes seconds.
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    types = DataDefinition(numerical_columns=list(reference.columns))
    sides = [Dataset.from_pandas(side, data_definition=types) for side in (current, reference)]
    Report([DataDriftPreset()]).run(*sides)


def measured(kind: str, rows: int) -> tuple[float, float]:
    """Return seconds and extra MB of `ours` or `evidently`, 20 columns and `rows` rows a side."""
    environment = os.environ | {"DO_NOT_TRACK": "1"}
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, str(rows), kind]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    seconds, megabytes = out.split()[-2:]
    return float(seconds), float(megabytes)


def _cost(rows: int) -> Iterator[str]:
    yield f"{rows:,} rows x {COLUMNS} columns a side     seconds    MB over the data"
    for kind in ("ours", "evidently"):
        seconds, megabytes = measured(kind, rows)
        yield f"{kind:<38} {seconds:7.2f} {megabytes:12.0f}"


if __name__ == "__main__":
    start = time.perf_counter()
    print(table(*map(int, sys.argv[1:])))
    print(f"{time.perf_counter() - start:.0f} s")
