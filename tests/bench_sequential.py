"""What the sequential statistics find, how soon, and how often they cry wolf. Fixed seeds, 95 % intervals."""

import importlib
import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from perenne.stats.calibration import block_means, discordance, excess
from perenne.stats.power import increments_until_seen
from scipy import signal, special, stats

from perenne.stats.counts import volume
from perenne.stats.metrics import Array
from perenne.stats.sequential import FRACTIONS, Reference, State, gains, refer, update

REFERENCE, CALM, CHANGED = 20_000, 10_000, 10_000  # labels
ALPHA = 1 / 22_500  # false alarms per label, guaranteed; with the bound's margin fewer are seen
Generator = np.random.Generator
Detect = Callable[[Array], int | None]
"""From increments to the place of the first alarm among them."""
Draw = Callable[[Generator, int], Array]
"""From a number of rows to their increments."""


class Found(NamedTuple):
    """Per repeat: labels until the change was seen (those watched, if it was not), false alarms before it."""

    delays: list[float]
    alarms: list[int]

    def __str__(self) -> str:
        """Return the median delay and the false alarms in 10,000, with intervals."""
        ordered, count = sorted(self.delays), len(self.delays)
        low, high = (int(stats.binom.ppf(tail, count, 0.5)) for tail in (0.025, 0.975))
        mean, error = np.mean(self.alarms), np.std(self.alarms, ddof=1) / math.sqrt(count)
        return (
            f"{np.median(ordered):7,.0f} [{ordered[low]:6,.0f}, {ordered[min(high, count - 1)]:6,.0f}]"
            f"      {mean:5.2f} +- {1.96 * error:.2f}"
        )


def table(repeats: int = 400) -> str:
    """Return all tables as text; 400 repeats take a minute and a quarter."""
    parts = [errors(repeats), streams(repeats), power(repeats), days(repeats), counts(10 * repeats), speed()]
    return "\n\n".join(parts)


def errors(repeats: int) -> str:
    """Error rate .20 -> .25, beside a detector that knows both rates and beside river's at their defaults."""
    found: dict[str, Found] = {}
    for seed in range(repeats):
        rng = np.random.default_rng([1, seed])
        reference = refer(rng.random(REFERENCE) < 0.2, low=0, high=1)
        stream = np.concatenate([rng.random(CALM) < 0.2, rng.random(CHANGED) < 0.25]).astype(np.float64)
        for name, detect in {"e-detector": detector(reference), "both rates known": oracle}.items():
            collect(found, name, watch(stream, detect))
        for name, make in river().items():
            collect(found, name, watch_river(stream, make()))
    title = f"Error rate .20 -> .25 after {CALM:,} labels, the .20 from {REFERENCE:,}; alpha = {ALPHA:.2g}"
    return "\n".join([title, HEAD, *(f"{name:24}{each}" for name, each in found.items())])


HEAD = f"{'':24} labels until seen, median    false alarms in 10,000"


def collect(found: dict[str, Found], name: str, seen: tuple[float, int]) -> None:
    """Add one repeat."""
    delays, alarms = found.setdefault(name, Found([], []))
    delays.append(seen[0])
    alarms.append(seen[1])


def watch(stream: Array, detect: Detect, calm: int = CALM) -> tuple[float, int]:
    """Return how long after the calm the change is seen, and the false alarms before; each begins anew."""
    begin, alarms = 0, 0
    while (alarm := detect(stream[begin:])) is not None and begin + alarm < calm:
        begin, alarms = begin + alarm + 1, alarms + 1
    return (len(stream) if alarm is None else begin + alarm) - calm, alarms


def detector(reference: Reference, alpha: float = ALPHA) -> Detect:
    """Return the e-detector of a reference."""
    return lambda values: update(State(), gains(values, reference), alpha=alpha).alarm


def oracle(errors: Array) -> int | None:
    """Detect as Shiryaev and Roberts did, both rates known: as good as can be, tuned to the same alarms."""
    won = np.where(errors == 1, 0.25 / 0.2, 0.75 / 0.8) - 1
    return update(State(), won, alpha=1 / 45_000, fractions=(1 - 1e-9,)).alarm


def river() -> dict[str, Callable[[], Any]]:
    """Return river's detectors; it is imported here, because only this comparison needs it."""
    drift = importlib.import_module("river.drift")
    return {
        "river ADWIN": drift.ADWIN,
        "river Page-Hinkley": drift.PageHinkley,
        "river DDM": drift.binary.DDM,
        "river HDDM_A": drift.binary.HDDMA,
        "river HDDM_W": drift.binary.HDDMW,
    }


def watch_river(stream: Array, river: Any) -> tuple[float, int]:
    """As :func:`watch`; river's detectors begin anew by themselves."""
    alarms = 0
    for place, error in enumerate(stream.astype(int).tolist()):
        river.update(error)
        if river.drift_detected:
            if place >= CALM:
                return place - CALM, alarms
            alarms += 1
    return len(stream) - CALM, alarms


def risks(rng: Generator, rows: int) -> Array:
    """Draw probabilities with mean .10 whose own outcomes they rank with an AUC of .80."""
    return special.expit(rng.normal(-2.7864, 1.3, rows))


def calibration_stream(rng: Generator, rows: int, ratio: float) -> Array:
    """Draw rows whose observed is ``ratio`` times what is expected, and return the excess of each."""
    expected = risks(rng, rows)
    return excess(rng.random(rows) < ratio * expected, expected)


def ranking_stream(rng: Generator, rows: int, auc: float) -> tuple[Array, Array]:
    """Draw rows, 10 % positive, whose scores rank with ``auc``; return discordances, their rows."""
    y = rng.random(rows) < 0.1
    groups = discordance(y, rng.normal(size=rows) + y * math.sqrt(2) * special.ndtri(auc))
    return groups.values, groups.ends.astype(np.float64)


def streams(repeats: int) -> str:
    """Calibration and ranking, each at its share of alpha: a third, halved for the two sides."""
    found: dict[str, Found] = {}
    for seed in range(repeats):
        rng = np.random.default_rng([2, seed])
        reference = calibration_stream(rng, REFERENCE, 1)
        calm = calibration_stream(rng, CALM, 1)
        for sign, ratio in ((1, 1.15), (-1, 0.85)):
            stream = sign * np.concatenate([calm, calibration_stream(rng, CHANGED, ratio)])
            detect = detector(refer(sign * reference, low=-1, high=1), ALPHA / 6)
            collect(found, f"calibration 1 -> {ratio}", watch(stream, detect))
        collect(found, "ranking AUC .86 -> .76", ranked(rng))
    title = f"Base rate .10, each stream at its share of alpha = {ALPHA:.2g}"
    return "\n".join([title, HEAD, *(f"{name:24}{each}" for name, each in found.items())])


def ranked(rng: Generator) -> tuple[float, int]:
    """As :func:`watch`, in labels, where a group of rows makes an increment."""
    reference, _ = ranking_stream(rng, REFERENCE, 0.86)
    calm, _ = ranking_stream(rng, CALM, 0.86)
    changed, ends = ranking_stream(rng, CHANGED, 0.76)
    detect = detector(refer(reference, low=0, high=1), ALPHA / 3 * REFERENCE / len(reference))
    delay, alarms = watch(np.concatenate([calm, changed]), detect, len(calm))
    return float(np.append(ends, CHANGED)[int(delay)]), alarms


def power(repeats: int) -> str:
    """Predicted against simulated labels until a rise is seen, medians over references, from the start."""
    lines = ["Increments until seen, from the start", f"{'':24} predicted    simulated    ratio"]
    for name, calm, changed, rise in rises():
        predicted, waits = [], []
        for seed in range(repeats):
            rng = np.random.default_rng([3, seed])
            values = calm(rng, REFERENCE)
            reference = refer(values, low=min(0, math.floor(values.min())), high=1)
            predicted.append(increments_until_seen(values, rise, reference, alpha=ALPHA))
            stream = changed(rng, 30_000)
            alarm = detector(reference)(stream)
            waits.append(len(stream) if alarm is None else alarm + 1)
        median, middle = np.median(predicted), np.median(waits)
        lines.append(f"{name:24}{median:10,.0f} {middle:12,.0f}    {middle / median:5.2f}")
    return "\n".join(lines)


def rises() -> Iterator[tuple[str, Draw, Draw, float]]:
    """Yield changes: a name, who draws the increments before and after, and the rise of their mean."""
    for rate in (0.22, 0.25, 0.3, 0.4):
        yield f"errors .20 -> {rate:.2f}", partial(flips, rate=0.2), partial(flips, rate=rate), rate - 0.2
    for ratio in (1.15, 1.3):
        before, after = (partial(calibration_stream, ratio=each) for each in (1, ratio))
        yield f"calibration 1 -> {ratio:.2f}", before, after, 0.1 * (ratio - 1)
    before, after = (partial(ranking_values, auc=auc) for auc in (0.86, 0.76))
    yield "AUC .86 -> .76, groups", before, after, 0.1


def ranking_values(rng: Generator, rows: int, auc: float) -> Array:
    """Draw the discordances of this many rows."""
    return ranking_stream(rng, rows, auc)[0]


def flips(rng: Generator, rows: int, rate: float) -> Array:
    """Draw error indicators."""
    return (rng.random(rows) < rate).astype(np.float64)


def days(repeats: int) -> str:
    """Rows that share their day's weather, which lasts: false alarms within 500 days of 40 rows."""
    lines = [
        "Error rate .20, days of 40 rows, logit of a day +- 0.5 with AR(1) memory; 365 reference days",
        "share of runs with a false alarm within 500 days; guaranteed without memory: 10 %",
        f"{'memory':12}{'rows':>23}{'day means':>23}{'.. bound by month':>23}   days until .25 is seen",
    ]
    for memory in (0.0, 0.2, 0.4, 0.6, 0.8):
        alarms = np.zeros((repeats, 3), dtype=bool)
        waits = []
        for seed in range(repeats):
            rng = np.random.default_rng([4, seed])
            reference, watched = weather(rng, memory, 365, 0.2), weather(rng, memory, 500, 0.2)
            daily, month = _means(reference), np.arange(365) // 30
            by_day, by_month = refer(daily), refer(daily, month)
            by_row = refer(reference.ravel(), low=0, high=1)
            alarms[seed] = [
                detector(by_row, 0.1 / 500 / 40)(watched.ravel()) is not None,
                detector(by_day, 0.1 / 500)(_means(watched)) is not None,
                detector(by_month, 0.1 / 500)(_means(watched)) is not None,
            ]
            wait = detector(by_month, 0.1 / 500)(_means(weather(rng, memory, 500, 0.25)))
            waits.append(500 if wait is None else wait + 1)
        cells = "".join(f"{share(column):>23}" for column in alarms.T)
        lines.append(f"{memory:<12}{cells}  {np.median(waits):8.0f}")
    return "\n".join(lines)


def weather(rng: Generator, memory: float, count: int, rate: float) -> Array:
    """Draw errors of shape (days, 40), their day's logit moved by AR(1) noise of standard deviation 0.5."""
    shocks = rng.normal(size=count + 50) * 0.5 * math.sqrt(1 - memory**2)
    moved = signal.lfilter([1.0], [1.0, -memory], shocks)[50:]
    centre = {0.2: -1.4585, 0.25: -1.1585}[rate]  # so that the mean over days is the rate
    return (rng.random((count, 40)) < special.expit(centre + moved)[:, None]).astype(np.float64)


def _means(rows: Array) -> Array:
    return block_means(rows.ravel(), np.repeat(np.arange(len(rows)), rows.shape[1]))


def share(hits: npt.NDArray[np.bool_]) -> str:
    """Return a share with its exact binomial interval."""
    low, high = stats.binomtest(int(hits.sum()), len(hits)).proportion_ci()
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}]"


def counts(repeats: int) -> str:
    """How often a batch like the reference's is found odd at p < .05, and one of 20 % less."""
    lines = ["Volume, mean 900: p < .05", f"{'':30}{'same law':>22}{'20 % fewer':>24}   said Poisson"]
    for name, shape in (("Poisson", math.inf), ("variance 2 x mean", 900.0), ("variance 10 x mean", 100.0)):
        for batches in (8, 20):
            rng = np.random.default_rng([5, batches])
            same, fewer, poisson = (np.zeros(repeats, dtype=bool) for _ in range(3))
            for k in range(repeats):
                reference = _drawn(rng, 900, shape, batches)
                tested = volume(int(_drawn(rng, 900, shape, 1)[0]), reference)
                same[k], poisson[k] = tested.p_value < 0.05, tested.law == "Poisson"
                fewer[k] = volume(int(_drawn(rng, 720, shape, 1)[0]), reference).p_value < 0.05
            lines.append(
                f"{name:20}{batches:3} batches{share(same):>22}{share(fewer):>24}{poisson.mean():12.2f}"
            )
    return "\n".join(lines)


def _drawn(rng: Generator, mean: float, shape: float, size: int) -> npt.NDArray[np.int64]:
    return rng.poisson(mean if math.isinf(shape) else rng.gamma(shape, mean / shape, size), size)


def speed() -> str:
    """How long a million labels take."""
    stream = flips(np.random.default_rng(6), 1_000_000, 0.2)
    reference = refer(stream, low=0, high=1)
    start = time.perf_counter()
    update(State(), gains(stream, reference), alpha=ALPHA)
    return f"1,000,000 labels, {len(FRACTIONS)} fractions: {time.perf_counter() - start:.2f} s"
