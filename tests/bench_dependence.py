"""What dependent days, few skewed blocks and few events do to bounds, intervals and the choice of a block.

Fixed seeds, exact 95 % intervals, beside the goals. Everything together takes about two minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import signal, special

from perenne.common.task import BINARY
from perenne.stats import bootstrap, paired, spending
from perenne.stats.dependence import choose
from perenne.stats.estimate import Estimate
from perenne.stats.influence import Influence
from perenne.stats.metrics import Array, family
from perenne.stats.sharing import Codes
from tests.bench_bounds import share

FIRST = spending.alpha(1, 0.05, 0.05)
SMALL = 0.003
Generator = np.random.Generator
Hits = npt.NDArray[np.bool_]


def table() -> str:
    """Return all rows as text."""
    parts = [gate(), few(), uneven(), skewed(), power(), coverage(), chosen()]
    return "\n\n".join(parts)


def line(name: str, hits: npt.ArrayLike, goal: str) -> str:
    """Return a share with its interval, beside its goal."""
    return f"{name:66}{share(hits):>22}   {goal}"


def remembering(rng: Generator, root: float, shape: tuple[int, int]) -> Array:
    """Draw AR(1) series of variance 1, one a row."""
    shocks = rng.normal(size=shape) * math.sqrt(1 - root**2)
    shocks[:, 0] /= math.sqrt(1 - root**2)
    series: Array = signal.lfilter([1], [1, -root], shocks, axis=1)
    return series


def noisy(rng: Generator, root: float, shape: tuple[int, int]) -> Array:
    """Draw series whose variance is half what days remember, half the day's own."""
    own: Array = rng.normal(size=shape)
    return math.sqrt(0.5) * (remembering(rng, root, shape) + own)


def low(drawn: Array, alpha: float, *, ordered: bool) -> Array:
    """Return the gate's lower bound of the mean of each row of blocks."""
    codes = np.arange(drawn.shape[1])
    return np.array([over(each, codes, ordered=ordered).bounds(alpha)[0] for each in drawn])


def over(blocks: Array, codes: Codes, *, ordered: bool) -> Estimate:
    """Return the mean of some blocks."""
    mean = float(blocks.mean())
    return paired.estimate(Influence(mean, blocks - mean), codes, len(blocks), ordered=ordered)


def gate(runs: int = 10_000) -> str:
    """Two equal models on days that resemble each other: how often the gate's bound finds a gain."""
    lines = [f"Equal models on dependent days, one look at {FIRST:.4f}: found better ({runs:,} gates)"]
    goals = {0.3: "<= .04", 0.5: "<= .05", 0.7: "<= .07"}
    for count in (30, 100):
        for root, goal in goals.items():
            drawn = remembering(np.random.default_rng(101), root, (runs, count))
            lines.append(line(f"{count} days, AR({root})", low(drawn, FIRST, ordered=True) > 0, goal))
        for root in (0.5, 0.7):
            drawn = noisy(np.random.default_rng(102), root, (runs, count))
            name = f"{count} days, AR({root}) and as much of the day's own"
            lines.append(line(name, low(drawn, FIRST, ordered=True) > 0, "none"))
    return "\n".join(lines)


def few(runs: int = 10_000) -> str:
    """Equal models on few days: with fewer than eleven there is no bound."""
    lines = [f"Equal models on few days that remember, at {FIRST:.4f}: found better ({runs:,} gates)"]
    for count in (7, 10, 11, 14):
        drawn = remembering(np.random.default_rng(107), 0.7, (runs, count))
        lines.append(line(f"{count} days, AR(0.7)", low(drawn, FIRST, ordered=True) > 0, "<= .05"))
    return "\n".join(lines)


def uneven(runs: int = 4_000) -> str:
    """Equal models on thirty blocks of 4,000 rows, of which one or two have many."""
    lines = [f"Equal models on 30 blocks, some with many rows, at .05: found better ({runs:,} gates)"]
    for large in ((0.1,), (0.2,), (0.2, 0.2), (0.3,), (0.5,), (0.8,)):
        many = [round(share * 4_000) for share in large]
        others = 30 - len(many)
        codes = np.repeat(np.arange(30), [*many, *[(4_000 - sum(many)) // others] * others])
        for own, what in ((0.1, "share nearly all"), (3, "share a tenth")):
            rng, hits = np.random.default_rng(108), []
            for _ in range(runs):
                rows = rng.normal(size=30)[codes] + own * rng.normal(size=len(codes))
                mean = float(rows.mean())
                found = paired.estimate(Influence(mean, rows - mean), codes, 30)
                hits.append(found.bounds(0.05)[0] > 0)
            shares = " and ".join(f"{share:.0%}" for share in large)
            lines.append(line(f"{shares} of the rows in a block; rows of one {what}", hits, "<= .05"))
    return "\n".join(lines)


def skewed(runs: int = 40_000) -> str:
    """Few skewed blocks at the level that a later look has."""
    drawn = math.exp(0.5) - np.random.default_rng(103).lognormal(size=(runs, 30))
    hits = low(drawn, SMALL, ordered=False) > 0
    title = f"Equal models on 30 blocks whose losses are lognormal(1), at {SMALL} ({runs:,} gates)"
    return f"{title}\n{line('found better', hits, '<= .006')}"


def power(runs: int = 10_000) -> str:
    """Gains of three standard errors on independent blocks: by Hall's bound, and by ours."""
    lines = [f"A gain of 3 standard errors on independent blocks, at {FIRST:.4f} ({runs:,} gates)"]
    kinds: dict[str, Callable[[Generator, tuple[int, int]], Array]] = {
        "normal": lambda rng, shape: np.asarray(rng.normal(size=shape)),
        "1 - exponential": lambda rng, shape: np.asarray(1 - rng.exponential(size=shape)),
    }
    for name, draw in kinds.items():
        for count in (30, 100):
            drawn = draw(np.random.default_rng(104), (runs, count)) + 3 / math.sqrt(count)
            before = np.array([halls(each, FIRST) for each in drawn]) > 0
            for what, ordered in (("without order", False), ("in order", True)):
                found = low(drawn, FIRST, ordered=ordered) > 0
                ratio = found.mean() / before.mean()
                where = f"{count} {name} blocks, {what}; before {before.mean():.3f}: x {ratio:.2f}"
                lines.append(line(where, found, "x >= .90"))
    return "\n".join(lines)


def halls(blocks: Array, alpha: float) -> float:
    """Return the lower bound as it was: blocks independent, and as skewed as they seem."""
    found = over(blocks, np.arange(len(blocks)), ordered=False)
    root = math.sqrt(len(blocks))
    t, skewness = -float(special.stdtrit(len(blocks) - 1, alpha)), found.skewness / root
    centred = t - skewness / 6
    cube = math.cbrt(1 + skewness * centred)
    return found.value - found.error * max(t, 3 * centred / (cube**2 + cube + 1))


def coverage(runs: int = 300) -> str:
    """Intervals of a nominal 95 % where events or days are few: how often they hold the truth, if given."""
    lines = [f"Coverage of nominal 95 %, where an interval is given ({runs} runs, 300 resamples): >= .92"]
    for kind, draw, sizes in (
        ("events among 1,000 rows", events, (5, 9, 12, 20)),
        ("days of 20", days, (9, 10, 12, 20)),
    ):
        for size in sizes:
            lines += covered(f"{size} {kind}", draw, size, runs)
    return "\n".join(lines)


Scored = tuple[npt.NDArray[np.intp], Array, Array]


def covered(name: str, draw: Callable[[Generator, int], Scored], size: int, runs: int) -> Iterator[str]:
    """Yield a line for AUC and one for log loss."""
    rng = np.random.default_rng([105, size])
    prepared = {metric: family(BINARY.metrics)[metric] for metric in ("roc_auc", "log_loss")}
    # The truth: many such samples together.
    whole = [draw(rng, size) for _ in range(300)]
    y, score = (np.concatenate([each[place] for each in whole]) for place in (1, 2))
    truth = {metric: prepare(y, score)(np.ones(len(y))) for metric, prepare in prepared.items()}
    hits: dict[str, list[bool]] = {metric: [] for metric in prepared}
    for seed in range(runs):
        blocks, y, score = draw(rng, size)
        metrics = {metric: prepare(y, score) for metric, prepare in prepared.items()}
        found = bootstrap.intervals(metrics, blocks, events=y, resamples=300, seed=seed)
        for metric, each in found.items():
            if not math.isnan(each.low):
                hits[metric].append(each.low <= truth[metric] <= each.high)
    for metric, inside in hits.items():
        few = f"{name}, {metric}; too few to tell in {1 - len(inside) / runs:.2f}"
        yield line(few, inside, ">= .92") if len(inside) >= runs / 10 else f"{few:66}"


def events(rng: Generator, size: int) -> Scored:
    """Draw independent rows, and as many events on average."""
    x = rng.normal(size=1_000)
    score = special.expit(x + math.log(size / 1_000) - 0.5)
    return np.arange(1_000), (rng.random(1_000) < score).astype(np.float64), score


def days(rng: Generator, size: int) -> Scored:
    """Draw days of 20 rows that share a feature and a shock that no model sees."""
    label = np.repeat(np.arange(size), 20)
    feature = rng.normal(size=size)[label] + rng.normal(scale=0.5, size=len(label))
    logit = feature + rng.normal(scale=1.5, size=size)[label] - 1
    y = (rng.random(len(label)) < special.expit(logit)).astype(np.float64)
    return label, y, special.expit(feature - 1)


def chosen(runs: int = 500) -> str:
    """Which block the residuals of validation rows get: 40 rows a day, months of 30 days."""
    lines = [f"The block that residuals ask for, 40 rows a day ({runs} runs)"]
    for count in (60, 540):
        for effect, root in ((1.0, 0.0), (1.2, 0.0), (1.5, 0.0), (2.0, 0.0), (4.0, 0.5)):
            label = np.repeat(np.arange(count), 40)
            rng = np.random.default_rng(106)
            found = []
            for _ in range(runs):
                shocks = math.sqrt((effect - 1) / 39) * remembering(rng, root, (1, count))[0]
                people = {"person": rng.integers(0, 500, len(label))}
                values = shocks[label] + rng.normal(size=len(label))
                found.append(choose(values, people, label // 30, days=label))
            name = f"{count} days, design effect {effect}" + (f", AR({root})" if root else "")
            blocks = [each.label is not None for each in found]
            lines.append(line(f"{name}: gets a block", blocks, "<= .05" if effect == 1 else "found"))
            if root:
                lines.append(line(f"{name}: of several days", [each.span > 1 for each in found], "found"))
    return "\n".join(lines)
