"""The e-detector keeps its promise of few false alarms, finds changes, and goes on where it stopped."""

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from perenne.stats.calibration import block_means, in_order
from perenne.stats.metrics import Array
from perenne.stats.sequential import FRACTIONS, Reference, State, gains, refer, update

KNOWN = Reference(mean=0.2, bound=0.2, low=0, high=1)  # an error rate that needed no estimate


def flips(rng: np.random.Generator, rates: Array) -> Array:
    """Draw one error indicator for each rate."""
    return (rng.random(rates.shape) < rates).astype(np.float64)


def watch(values: Array, alpha: float = 1e-6, reference: Reference = KNOWN) -> State:
    """Run over a stream in one batch."""
    return update(State(), gains(values, reference), alpha=alpha)


def rounded(state: State) -> State:
    """Leave out the last digits of what is accumulated."""
    return state._replace(wealth=np.round(state.wealth, 9).tolist(), rise=np.round(state.rise, 9).tolist())


@pytest.mark.parametrize(
    ("seed", "rate", "alarm", "since"),
    [
        (1, 0.25, 2775, 1940),
        (1, 0.3, 2121, 2042),
        (2, 0.3, 2202, 2136),
        (3, 0.5, 2054, 2011),
        (4, 0.2, None, None),
    ],
)
def test_pinned(seed: int, rate: float, alarm: int | None, since: int | None) -> None:
    """Named streams whose error rate moves from .20 at 2,000 raise the same alarm everywhere."""
    stream = flips(np.random.default_rng(seed), np.repeat([0.2, rate], [2_000, 3_000]))
    found = watch(stream)
    assert (found.alarm, found.since) == (alarm, since)


def test_equals_the_recursion_written_out() -> None:
    """R = (1 + R) * L and the CUSUM with its start, row by row, for every fraction."""
    won = gains(np.random.default_rng(5).random(300), Reference(0.5, 0.52, 0, 1))
    found = update(State(), won, alpha=1e-9)
    for place, fraction in enumerate(FRACTIONS):
        sum_of_wealth, rise, start = 0.0, 0.0, 0
        for row, gain in enumerate(won):
            if rise < 0:
                rise, start = 0.0, row
            sum_of_wealth = (1 + sum_of_wealth) * (1 + fraction * gain)
            rise += math.log1p(fraction * gain)
        assert math.expm1(found.wealth[place]) == pytest.approx(sum_of_wealth)
        assert found.rise[place] == pytest.approx(rise)
        assert found.start[place] == start


def test_fair_bets_win_nothing() -> None:
    """At the bound E[R] after n increments is exactly n: summed over all 256 streams of 8."""
    streams = [np.array(bits, dtype=np.float64) for bits in itertools.product([0, 1], repeat=8)]
    chance = [0.2 ** bits.sum() * 0.8 ** (8 - bits.sum()) for bits in streams]
    wealth = [np.expm1(watch(bits).wealth) for bits in streams]
    assert np.average(wealth, axis=0, weights=chance) == pytest.approx([8, 8, 8])


def test_alarm_is_the_first_crossing() -> None:
    """The alarm falls on the first increment at which the mean over fractions reaches 1 / alpha."""
    stream = flips(np.random.default_rng(1), np.full(400, 0.5))
    alarm = watch(stream).alarm
    assert alarm is not None
    before, at = (np.expm1(watch(stream[: alarm + more]).wealth).mean() for more in (0, 1))
    assert before < 1e6 <= at


@pytest.mark.parametrize("kind", ["independent", "bursts"])
def test_false_alarms_within_n_are_at_most_n_alpha(kind: str) -> None:
    """At n * alpha = 0.2, of 1,000 calm streams of 500, no more alarms than a binomial of .2 allows.

    Also if volatility comes in bursts: only the mean given the past counts.
    """
    rng, runs, rows = np.random.default_rng(20230101), 1_000, 500
    alarms = 0
    for _ in range(runs):
        stream = flips(rng, np.full(rows, 0.2))
        if kind == "bursts":  # after an error, a time of certain 0.2
            stream[1:][stream[:-1] == 1] = 0.2
        alarms += watch(stream, alpha=0.2 / rows).alarm is not None
    assert alarms <= stats.binom.ppf(0.999, runs, 0.2)
    assert alarms > 10  # and the bound is not far off: a detector that never speaks would pass


def test_average_run_length_is_at_least_one_in_alpha() -> None:
    """400 calm streams last 500 increments on average until their alarm, or more, at alpha = 1 / 500."""
    rng = np.random.default_rng(2023)
    runs = [watch(flips(rng, np.full(5_000, 0.2)), alpha=1 / 500).alarm for _ in range(400)]
    lengths = np.array([5_000 if alarm is None else alarm + 1 for alarm in runs])
    assert lengths.mean() - 3 * lengths.std() / math.sqrt(400) > 500


def test_the_margin_for_the_reference_matters() -> None:
    """With 1,000 reference labels the bound keeps n * alpha = 0.1; the bare estimate would not."""
    rng, runs, rows = np.random.default_rng(7), 300, 10_000
    alarms = {"bound": 0, "mean": 0}
    for _ in range(runs):
        reference = refer(flips(rng, np.full(1_000, 0.2)), low=0, high=1)
        stream = flips(rng, np.full(rows, 0.2))
        for kind, used in (("bound", reference), ("mean", reference._replace(bound=reference.mean))):
            alarms[kind] += watch(stream, alpha=0.1 / rows, reference=used).alarm is not None
    assert alarms["bound"] <= stats.binom.ppf(0.999, runs, 0.1)
    assert alarms["mean"] > stats.binom.ppf(0.999, runs, 0.1)


def test_a_rise_is_found_and_dated() -> None:
    """From .20 to .40 at 1,000: 100 of 100 streams within 400 labels, most dated within 100."""
    rng = np.random.default_rng(11)
    found = [watch(flips(rng, np.repeat([0.2, 0.4], [1_000, 400]))) for _ in range(100)]
    alarms = [state.alarm for state in found if state.alarm is not None]
    assert len(alarms) == 100
    assert sum(abs(state.since - 1_000) <= 100 for state in found if state.since is not None) > 50


def test_a_fall_is_no_alarm() -> None:
    """Fewer errors are good news."""
    assert watch(flips(np.random.default_rng(1), np.repeat([0.2, 0.05], 3_000))).alarm is None


@pytest.mark.parametrize("cuts", [[1], [0, 700], [250, 250, 251], list(range(0, 1_500, 7))])
def test_batches_do_not_matter(cuts: list[int]) -> None:
    """The same stream in any batches, empty ones among them, comes to the same alarm, date and evidence."""
    won = gains(flips(np.random.default_rng(3), np.repeat([0.2, 0.4], [700, 800])), KNOWN)
    state = State()
    for batch in np.split(won, cuts):
        state = update(state, batch, alpha=1e-4)
    assert rounded(state) == rounded(update(State(), won, alpha=1e-4))
    assert state.alarm is not None


def test_the_state_is_plain_data() -> None:
    """Through JSON and back, the detector goes on as if it had never stopped."""
    first, second = np.split(gains(flips(np.random.default_rng(3), np.full(800, 0.25)), KNOWN), 2)
    state = update(State(), first, alpha=1e-4)
    again = State(**json.loads(json.dumps(state._asdict(), allow_nan=False)))
    assert again == state
    assert update(again, second, alpha=1e-4) == update(state, second, alpha=1e-4)


def test_an_alarm_stays() -> None:
    """What comes after it neither moves nor withdraws the alarm."""
    state = watch(np.ones(50))
    later = update(state, gains(np.zeros(5_000), KNOWN), alpha=1e-6)
    assert (later.alarm, later.since) == (state.alarm, state.since) == (state.alarm, 0)
    assert later.wealth[1] < state.wealth[1]


def test_evidence_does_not_overflow() -> None:
    """A model that is wrong a hundred thousand times in a row has a finite state."""
    state = watch(np.ones(100_000))
    assert np.isfinite([*state.wealth, *state.rise]).all()


@pytest.mark.parametrize(
    ("won", "alpha", "fractions"),
    [
        ([-1.1], 0.1, (0.5,)),
        ([0], 0, (0.5,)),
        ([0], 1, (0.5,)),
        ([0], 0.1, (1.0,)),
        ([0], 0.1, (0.0,)),
        ([0], 0.1, ()),
    ],
)
def test_senseless_bets_are_refused(won: list[float], alpha: float, fractions: tuple[float, ...]) -> None:
    """Losing more than the stake, staking all, or no alpha."""
    with pytest.raises(ValueError, match="gains of at least -1, and alpha and fractions between 0 and 1"):
        update(State(), won, alpha=alpha, fractions=fractions)


@pytest.mark.parametrize("values", [[0.1, math.nan], [math.inf, 0.0], [[0.1], [0.2]]])
def test_values_are_finite_columns(values: Any) -> None:
    """A missing loss is an error, not an increment."""
    with pytest.raises(ValueError, match="column of finite numbers"):
        refer(values, low=0, high=1)
    with pytest.raises(ValueError, match="column of finite numbers"):
        gains(values, KNOWN)


def test_the_bound_covers() -> None:
    """Of 1,000 references of 20,000 labels, 95 % have a bound above the truth (binomial, 998 in 1,000)."""
    rng = np.random.default_rng(13)
    covered = sum(refer(flips(rng, np.full(20_000, 0.2)), low=0, high=1).bound >= 0.2 for _ in range(1_000))
    least, most = (stats.binom.ppf(tail, 1_000, 0.95) for tail in (0.001, 0.999))
    assert least <= covered <= most


def test_the_bound_covers_where_rows_share_their_block() -> None:
    """With 60 blocks of 20 alike, block by block 95 % is nearly kept (93 %); row by row not even 80 %."""
    rng, runs, blocks = np.random.default_rng(17), 500, np.repeat(np.arange(60), 20)
    covered = {"block": 0, "row": 0}
    for _ in range(runs):
        values = flips(rng, rng.beta(1, 4, 60)[blocks])
        covered["block"] += refer(values, blocks, low=0, high=1).bound >= 0.2
        covered["row"] += refer(values, low=0, high=1).bound >= 0.2
    assert covered["block"] >= stats.binom.ppf(0.001, runs, 0.93)
    assert covered["row"] < stats.binom.ppf(0.001, runs, 0.80)


def test_blocks_of_one_are_rows() -> None:
    """Then the bound is the textbook's mean + t * s / sqrt(n)."""
    values = np.random.default_rng(1).random(50)
    found = refer(values, range(50), low=0, high=1)
    assert found == refer(values, low=0, high=1)
    reach = stats.t.ppf(0.95, 49) * values.std(ddof=1) / math.sqrt(50)
    assert found.bound == pytest.approx(values.mean() + reach)


def test_confidence_moves_the_bound() -> None:
    """More confidence, a higher bound."""
    values = np.random.default_rng(1).random(50)
    low, high = (refer(values, low=0, high=1, confidence=each).bound for each in (0.9, 0.99))
    assert values.mean() < low < high


def test_increments_without_bounds_are_clipped() -> None:
    """One standard deviation off the reference's mean, in the mean itself, its bound and the gains."""
    values = np.array([-100.0, 0.0, 1.0, 2.0, 3.0, 100.0])
    found = refer(values)
    assert (found.low, found.high) == pytest.approx((1 - values.std(), 1 + values.std()))
    assert found.mean == pytest.approx(values.clip(found.low, found.high).mean())
    assert gains([-1e9, found.low], found).tolist() == [-1, -1]
    assert gains([1e9], found) == gains([found.high], found)


@pytest.mark.parametrize(
    ("values", "blocks", "message"),
    [
        ([], None, "two of them or more"),
        ([0.5], None, "two of them or more"),
        ([0.1, 0.2], ["monday", "monday"], "two of them or more"),
        ([0.1, 0.2], ["monday", None], "a block for each of 2"),
        ([0.1, 0.2, 0.3], ["monday", "tuesday"], "a block for each of 3"),
        ([0.0, 0.0], None, r"reach above 0, but their bound is 0\.0"),
    ],
)
def test_references_that_cannot_tell(values: list[float], blocks: list[str] | None, message: str) -> None:
    """Too little to know how much the mean is worth, or a model that was never wrong."""
    with pytest.raises(ValueError, match=message):
        refer(values, blocks, low=0, high=1)


def test_order_within_a_block_is_shuffled() -> None:
    """Rows sorted by risk raise a false alarm in a batch like the reference; shuffled they do not."""
    rng = np.random.default_rng(1)
    risk = np.sort(rng.beta(2, 8, 9_000))[::-1]
    errors = flips(rng, risk)
    assert watch(errors).alarm is not None
    assert watch(errors[in_order(["2020Q4"] * 9_000, seed=1)]).alarm is None


def test_days_with_weather_need_day_means() -> None:
    """Of 100 calm years of days that differ, rows raise a false alarm in most, day means in at most 10 %."""
    alarms = {"rows": 0, "days": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        days = np.repeat(np.arange(730), 40)
        errors = flips(rng, rng.beta(4, 16, 730)[days])
        reference, current = np.split(errors, 2)
        alarms["rows"] += (
            watch(current, 0.1 / len(current), refer(reference, low=0, high=1)).alarm is not None
        )
        calm, now = np.split(block_means(errors, days), 2)
        alarms["days"] += watch(now, 0.1 / 365, refer(calm)).alarm is not None
    assert alarms["days"] <= stats.binom.ppf(0.999, 100, 0.1)
    assert alarms["rows"] > 50
