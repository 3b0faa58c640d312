"""Card payments, hour by hour, some of them fraud, by fraudsters who change their ways: a simulation.

Payments like these are secret, so the cards are made up. One row is one payment; `fraud` says whether the
holder of the card has disputed it by the time at which it counts as settled, the contract's `label_delay`.

Fraud comes in episodes: somebody has got hold of a card, and pays by it several times within hours. Until
the `attack` fraudsters buy goods that they can sell, on the web, for more than the holder usually pays, often
from abroad and by accounts that were opened recently. From then on new ones pay small amounts by the app, at
home, to merchants of digital goods, by old accounts: a model of the days before takes that for the safest
payments there are. The older way fades within a day or two. Fraud is so rare that hardly any column moves:
only labels tell.

A holder disputes a payment after some hours: half of them within five, one in nine only after a day (a
chargeback). Until the payment is settled, `fraud` is 1 where it was disputed already, and else missing: early
labels are a biased sample, since no payment is known to be good by then. A dispute after that changes
nothing: the row stays 0. A correction would change batches that models have learned from, so that each
would train them again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from perenne.cases.source import Batch, Source
from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Positions = NDArray[np.intp]

ATTACK = pd.Period("2026-03-12 09:00", freq="h")  # from this hour on fraudsters pay in the new way
SETTLED = 24  # hours after which a payment that nobody has disputed counts as good

PAYMENTS = 1_500  # good ones an hour, on average over a week
OPENED, LIFE = 40, 1_461  # cards opened a day, and the days that a card is used for: 58,000 are in use
RECENTLY, LONG_AGO = 180, 730  # days

# The rhythm of good payments, from midnight on and from Monday on; the mean of each is 1.
HOURS = np.array([8, 5, 4, 4, 5, 8, 14, 22, 28, 32, 34, 38, 41, 37, 34, 34, 38, 44, 46, 41, 34, 26, 18, 13])
HOURS = HOURS / HOURS.mean()
WEEKDAYS = np.array([0.94, 0.95, 0.98, 1.00, 1.13, 1.18, 0.82])

MERCHANTS = pd.DataFrame(
    {
        "till": [0.46, 0.16, 0.24, 0.08, 0.03, 0.01, 0.00, 0.02],  # shares of what is paid there
        "web": [0.06, 0.00, 0.05, 0.30, 0.18, 0.12, 0.24, 0.05],
        "app": [0.16, 0.05, 0.30, 0.10, 0.04, 0.06, 0.27, 0.02],
        "amount": [0.9, 1.7, 0.8, 1.6, 2.8, 5.0, 0.35, 1.2],  # median, times what the card usually pays
        "abroad": [0.02, 0.03, 0.04, 0.08, 0.09, 0.30, 0.12, 0.04],
    },
    index=["grocery", "fuel", "dining", "fashion", "electronics", "travel", "digital", "vouchers"],
)
CHANNELS = ["till", "web", "app"]
USUAL = 28.0  # EUR, the median over cards
REMOTE, REMOTE_SHARES = np.array([0.15, 0.4, 0.7]), np.array([0.4, 0.4, 0.2])  # what is not paid at a till


class FraudWay(NamedTuple):
    """A way of fraud.

    `episodes` begin in an hour on average, each of one payment and `more` on average, `hours` apart (mean).
    `merchants` and `channels` are shares in the order of the tables, `abroad` is a share. `amount` is the
    median with the deviation of its logarithm: in EUR, or times what the card usually pays (`relative`).
    The share `chosen` of the episodes is by cards of these `ages` in days, the others are by any. The share
    `steady` goes on at night and on Sunday as at any other time; the others follow the good payments.
    """

    episodes: float
    more: float
    hours: float
    merchants: tuple[float, ...]
    channels: tuple[float, ...]
    abroad: float
    amount: tuple[float, float]
    ages: tuple[int, int]
    chosen: float
    relative: bool
    steady: float


#                            grocery fuel dining fashion electronics travel digital vouchers
RESALE = (0.02, 0.00, 0.01, 0.21, 0.36, 0.12, 0.04, 0.24)
SMALL = (0.04, 0.00, 0.10, 0.02, 0.00, 0.00, 0.84, 0.00)
TILL_WEB_APP, BY_APP = (0.02, 0.85, 0.13), (0.00, 0.06, 0.94)
YOUNG, OLD = (0, RECENTLY), (LONG_AGO, LIFE)
KNOWN = FraudWay(6.0, 1.0, 2.0, RESALE, TILL_WEB_APP, 0.45, (3.2, 0.6), YOUNG, 0.5, relative=True, steady=0.4)
NEW = FraudWay(5.5, 1.4, 1.5, SMALL, BY_APP, 0.02, (9.0, 0.3), OLD, 1.0, relative=False, steady=0.0)
LONGEST = 12  # hours from the first payment of an episode to its last, at most
HALF_LIFE, REMAINS = 8, 0.15  # of the known way after the attack, in hours, and the share that never goes

DISPUTED, SPREAD = 5.0, 1.3  # hours, median; deviation of the logarithm


class Payments(Source):
    """The payments from `start` on; without an `attack` (null) fraudsters never change their ways."""

    simulated: ClassVar[bool] = True

    source: Literal["payments"]
    start: str
    attack: str | None
    seed: int = Field(ge=0)
    scale: float = Field(ge=0.02, le=100)  # less leaves no cards to choose from, more takes all memory

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the hours from `start` to `through`.

        Raises
        ------
        PerenneError
            If the contract's period is not an hour, `start`, `through` or `attack` is not an hour, or `start`
            is after `through`.

        """
        if contract.period != "hour":
            raise PerenneError(f"params.yaml: ingest.source: payments are by the hour, not {contract.period}")

        def hour(name: str, text: str) -> pd.Period:
            return periods.parse(text, "hour", f"params.yaml: ingest.{name}")

        start, through = hour("start", self.start), hour("through", self.through)
        if start > through:
            raise PerenneError(f"params.yaml: ingest.start: {start} comes after ingest.through, {through}")
        attack = hour("attack", self.attack) if self.attack else None
        yield from simulate(
            start, through, seed=self.seed, scale=self.scale, attack=attack, settled=contract.label_delay
        )


def simulate(
    start: pd.Period,
    through: pd.Period,
    *,
    seed: int = 0,
    scale: float = 1.0,
    attack: pd.Period | None = ATTACK,
    settled: int = SETTLED,
) -> Iterator[tuple[pd.Period, pd.DataFrame]]:
    """Yield each hour from `start` to `through` with its payments, holding only those of a day.

    An hour does not depend on `start`. Only its labels depend on `through`.

    Parameters
    ----------
    start, through
        The first and the last hour.
    seed
        Decides all draws.
    scale
        Multiplies the number of cards, of payments and of frauds.
    attack
        The first hour in which fraudsters pay in the new way; None: never.
    settled
        The hours after which a payment that nobody has disputed counts as good.

    Yields
    ------
    tuple[Period, DataFrame]
        The hour, and one row for each payment, as :func:`observed` returns them.

    Examples
    --------
    >>> hour = pd.Period("2026-03-02 12:00", freq="h")
    >>> [(str(when), len(rows)) for when, rows in simulate(hour, hour + 1, scale=0.1)]
    [('2026-03-02 12:00', 236), ('2026-03-02 13:00', 210)]

    """
    # Whatever an hour holds is from the day before it, or from an episode that began LONGEST hours earlier:
    # beginning there with nothing is exact.
    first = start - 24
    begun: deque[pd.DataFrame] = deque(maxlen=LONGEST)
    day_before: deque[NDArray[np.int64]] = deque(maxlen=24)
    cards = Cards(seed, scale)
    for hour in pd.period_range(first - LONGEST + 1, through, freq="h"):
        begun.append(frauds(hour, cards, seed, scale, attack))
        if hour < first:
            continue
        stolen = pd.concat(begun, ignore_index=True)
        payments = pd.concat(
            [purchases(hour, cards, seed, scale), stolen[stolen["hour"] == hour.ordinal]], ignore_index=True
        )
        payments = payments.sort_values(["second", "payment"], ignore_index=True)
        if hour >= start:
            recent = counted(payments["card"].to_numpy(), day_before)
            yield hour, observed(payments, hour, recent, (through - hour).n, settled)
        day_before.append(payments["card"].to_numpy())


class Cards:
    """The cards in use, the youngest last; they are drawn by the day on which they are opened."""

    def __init__(self, seed: int, scale: float) -> None:
        self.seed, self.count = seed, max(round(OPENED * scale), 1)
        self.until: pd.Period | None = None
        self.table = pd.DataFrame()

    def of(self, hour: pd.Period) -> pd.DataFrame:
        """The cards that are in use on the day of an hour, as :func:`opened` returns them."""
        day = hour.asfreq("D")
        if self.until is None or not self.until <= day <= self.until + LIFE:
            self.table, self.until = self.table[:0], day - LIFE
        if day > self.until:
            new = opened(pd.period_range(self.until + 1, day, freq="D"), self.count, self.seed)
            self.table = pd.concat([self.table, new], ignore_index=True)[-LIFE * self.count :]
            self.until = day
        return self.table


def opened(days: pd.PeriodIndex, n: int, seed: int) -> pd.DataFrame:
    """Return the `n` cards that are opened on each of some days, with all that is theirs for good.

    Parameters
    ----------
    days
        On which they are opened.
    n
        How many a day.
    seed
        Decides the draws, with the day.

    Returns
    -------
    DataFrame
        One row for each card: its number, the day, how often it is used beside others (`activity`), the EUR
        that it pays as a rule (`usual`), and the share that is paid on the web and by the app (`remote`).

    """
    draws = [np.random.default_rng([seed, day.ordinal, 0]) for day in days]
    day = np.repeat(days.asi8, n)
    return pd.DataFrame(
        {
            "card": day * 10**6 + np.tile(np.arange(n), len(days)),
            "opened": day,
            # In 64ths, whose sums are exact: who is chosen must not depend on the order of a sum.
            "activity": np.ceil(64 * np.exp(np.concatenate([rng.normal(0, 0.8, n) for rng in draws]))) / 64,
            "usual": (USUAL * np.exp(np.concatenate([rng.normal(0, 0.5, n) for rng in draws]))).round(2),
            "remote": REMOTE[picked(REMOTE_SHARES, np.concatenate([rng.random(n) for rng in draws]))],
        }
    )


def rhythm(hour: pd.Period) -> float:
    """How many good payments an hour has, as a share of the mean."""
    return float(HOURS[hour.hour] * WEEKDAYS[hour.dayofweek])


def purchases(hour: pd.Period, cards: Cards, seed: int, scale: float) -> pd.DataFrame:
    """Return the good payments of an hour.

    Parameters
    ----------
    hour
        In which they are made.
    cards
        Of which they are made, the more active ones more often.
    seed
        Decides the draws, with the hour.
    scale
        Multiplies their number.

    Returns
    -------
    DataFrame
        As :func:`paid` returns them.

    """
    rng = np.random.default_rng([seed, hour.ordinal, 1])
    table = cards.of(hour)
    n = rng.poisson(PAYMENTS * scale * rhythm(hour))
    until = np.cumsum(table["activity"].to_numpy())
    chosen = np.searchsorted(until, rng.random(n) * until[-1], side="right")
    remote = rng.random(n) < table["remote"].to_numpy()[chosen]
    channel = np.where(remote, np.where(rng.random(n) < 0.65, 1, 2), 0)
    draw, merchant = rng.random(n), np.zeros(n, dtype=np.intp)
    for place, name in enumerate(CHANNELS):
        merchant = np.where(channel == place, picked(MERCHANTS[name].to_numpy(), draw), merchant)
    abroad = rng.random(n) < MERCHANTS["abroad"].to_numpy()[merchant]
    usual = table["usual"].to_numpy()[chosen]
    amount = usual * MERCHANTS["amount"].to_numpy()[merchant] * np.exp(rng.normal(0, 0.6, n))
    return paid(hour, table, chosen, merchant, channel, abroad, amount, rng)


def frauds(hour: pd.Period, cards: Cards, seed: int, scale: float, attack: pd.Period | None) -> pd.DataFrame:
    """Return the fraudulent payments of all episodes that begin in an hour, those of later hours as well.

    Parameters
    ----------
    hour
        In which the episodes begin.
    cards
        Of which some are stolen.
    seed
        Decides the draws, with the hour.
    scale
        Multiplies their number.
    attack
        The first hour of the new way; None: never.

    Returns
    -------
    DataFrame
        As :func:`paid` returns them.

    """
    if attack is None or hour < attack:
        return episodes(KNOWN, 2, hour, cards, seed, scale)
    remains = REMAINS + (1 - REMAINS) * 0.5 ** ((hour - attack).n / HALF_LIFE)
    known = episodes(KNOWN, 2, hour, cards, seed, scale * remains)
    return pd.concat([known, episodes(NEW, 3, hour, cards, seed, scale)], ignore_index=True)


def episodes(
    way: FraudWay, stream: int, hour: pd.Period, cards: Cards, seed: int, scale: float
) -> pd.DataFrame:
    """Return the payments of the episodes of one way that begin in an hour; `stream` keeps draws apart."""
    rng = np.random.default_rng([seed, hour.ordinal, stream])
    table, days = cards.of(hour), np.array(way.ages)
    count = rng.poisson(way.episodes * scale * (way.steady + (1 - way.steady) * rhythm(hour)))
    # The cards of some ages lie together, as the youngest come last.
    high, low = len(table) - cards.count * days
    some = rng.random(count) < way.chosen
    low, high = np.where(some, low, 0), np.where(some, high, len(table))
    stolen = low + np.floor(rng.random(count) * (high - low)).astype(np.intp)
    episode = np.repeat(np.arange(count), 1 + rng.poisson(way.more, count))
    n = len(episode)
    first = np.diff(episode, prepend=-1) > 0
    waits = np.where(first, 0, np.floor(rng.exponential(way.hours, n))).astype(np.int64)
    passed = np.cumsum(waits)
    passed -= passed[first][episode]
    merchant = picked(np.array(way.merchants), rng.random(n))
    channel = picked(np.array(way.channels), rng.random(n))
    abroad = rng.random(n) < way.abroad
    median, deviation = way.amount
    unit = table["usual"].to_numpy()[stolen[episode]] if way.relative else 1.0
    amount = unit * median * np.exp(rng.normal(0, deviation, n))
    disputed = np.floor(DISPUTED * np.exp(rng.normal(0, SPREAD, n)))
    rows = paid(hour, table, stolen[episode], merchant, channel, abroad, amount, rng)
    return rows.assign(hour=hour.ordinal + passed, disputed=disputed)[passed < LONGEST]


def picked(shares: Numbers, draws: Numbers) -> Positions:
    """Return which of some shares each uniform draw falls on, shape (draws,)."""
    places: Positions = np.searchsorted(np.cumsum(shares)[:-1], draws, side="right")
    return places


def paid(
    hour: pd.Period,
    table: pd.DataFrame,
    chosen: Positions,
    merchant: Positions,
    channel: Positions,
    abroad: NDArray[np.bool],
    amount: Numbers,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return payments as a table, with numbers for names and hours; those of the hour, not disputed."""
    n = len(chosen)
    cards = table.iloc[chosen]
    return pd.DataFrame(
        {
            "payment": rng.integers(2**53, size=n),  # at random: a number tells nothing
            "card": cards["card"].to_numpy(),
            "opened": cards["opened"].to_numpy(),
            "usual": cards["usual"].to_numpy(),
            "hour": np.int64(hour.ordinal),
            "second": rng.integers(3600, size=n),
            "merchant": merchant,
            "channel": channel,
            "present": (channel == 0) | ((channel == 2) & (rng.random(n) < 0.5)),
            "abroad": abroad,
            "amount": np.maximum(amount.round(2), 0.5),
            "disputed": np.inf,
        }
    )


def counted(cards: NDArray[np.int64], before: deque[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return how often each card has paid in the hours before, and earlier in this one."""
    past = np.sort(np.concatenate(before)) if before else cards[:0]
    often = np.searchsorted(past, cards, side="right") - np.searchsorted(past, cards, side="left")
    return often + pd.Series(cards).groupby(cards).cumcount().to_numpy()


def observed(
    payments: pd.DataFrame, hour: pd.Period, recent: NDArray[np.int64], passed: int, settled: int
) -> pd.DataFrame:
    """Return the rows as the bank has them some hours later.

    Parameters
    ----------
    payments
        Those of the hour, as :func:`paid` returns them.
    hour
        In which they were made.
    recent
        How often each card had paid in the day before.
    passed
        The hours since then.
    settled
        The hours after which a payment that nobody has disputed counts as good.

    Returns
    -------
    DataFrame
        The contract's columns. `fraud` is 1, 0 or missing.

    """
    disputed = payments["disputed"].to_numpy() <= min(passed, settled)
    fraud = pd.Series(disputed, index=payments.index).astype("Int8")
    return pd.DataFrame(
        {
            "payment": payments["payment"],
            "card": payments["card"],
            "time": hour.start_time + pd.to_timedelta(payments["second"], unit="s"),
            "amount": payments["amount"],
            "times_usual": (payments["amount"] / payments["usual"]).round(2),
            "merchant": MERCHANTS.index.to_numpy()[payments["merchant"]],
            "channel": np.array(CHANNELS)[payments["channel"]],
            "card_present": payments["present"],
            "abroad": payments["abroad"],
            "account_days": hour.asfreq("D").ordinal - payments["opened"],
            "recent": recent,
            "hour": hour.hour,
            "fraud": fraud if passed >= settled else fraud.where(disputed),
        }
    )
