"""A large company whose employees of 60 to 70 retire, or wait: a microsimulation.

Records like these are private, so the people are made up, but not the rules. One row is one employee still at
work at the end of a quarter; `retires` says whether he or she has left by the end of the next.

Before the law the pension is that of the French general scheme (Code de la sécurité sociale: L. 351-1 the
full rate, L. 351-1-1 long careers, L. 351-1-2 what quarters beyond bring, R. 351-27 what missing ones cost),
with the 167 quarters required of those born from 1958 to 1960, here of all. The law of 2021 is hypothetical.

The decision is that of Stock and Wise (Econometrica 58, 1990) in short: an employee looks four years ahead,
and leaves when the best that waiting can bring is no longer worth it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from perenne.cases.source import Batch, Source
from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]  # or whole numbers as integers
    Rule = Callable[[Numbers, Numbers], Numbers]

LAW = pd.Period("2021Q1", freq="Q-DEC")  # the first quarter whose departures fall under it

YOUNGEST, OLDEST = 60, 70  # from 70 on an employer may pension anyone off
LEGAL_AGE, LEGAL_AGE_LONG_CAREER = 62, 60
FULL_RATE = 50.0  # percent of the reference salary
FULL_RATE_QUARTERS, FULL_RATE_AGE = 167, 67  # either will do
MOST_MISSING = 20  # quarters; more cost no more, so nobody gets less than 37.5 %
POINTS_PER_QUARTER = 0.625  # lost for each quarter missing, won for each beyond (1.25 % of the full rate)
RATE_UNDER_LAW, FULL_RATE_AGE_UNDER_LAW = 40.0, 65

HORIZON = 16  # quarters that an employee looks ahead: at 60 the law's 65 is out of sight, at 61 in sight
WORTH_BEYOND = 0.1  # of a point beyond the full rate: most leave once they have it, the surcote holds few

# What moves people to leave within a quarter, in logits; tried until the figures in the tests came out.
LEAVING = 0.4
PER_POINT_TO_GAIN = -0.4
PER_HARDSHIP = 0.8
PER_LOG_SALARY = -0.6  # relative to TYPICAL_SALARY
PER_LONG_CAREER = -1.0  # may leave at 60, which is not yet the custom
TASTE = 0.7  # standard deviation between employees, lasting; no column shows it
OTHER_REASONS = 0.002  # the chance to leave before the legal age: illness, another employer

ARRIVALS = 965  # employees turning 60 a quarter: times 9.9 quarters of stay makes a staff of 9,550
TYPICAL_SALARY = 35_000  # EUR of 2013 a year, as all salaries here: only the law moves, not prices
CATEGORIES = pd.DataFrame(
    {
        "share": [0.32, 0.24, 0.26, 0.18],
        "salary": [27_000, 30_000, 38_000, 62_000],  # median
        "long_career": [0.60, 0.48, 0.42, 0.14],
        "hardship": [0.50, 0.10, 0.20, 0.02],
        "quarters": [159, 157, 157, 152],  # mean at 60 if not a long career; children may have given some
        "leaving": [0.3, 0.1, 0.0, -0.5],  # logits
    },
    index=["manual", "clerical", "technical", "executive"],
)
SITES = {"Lille": 0.28, "Lyon": 0.24, "Nantes": 0.16, "Paris": 0.20, "Toulouse": 0.12}


class Retirement(Source):
    """The company from `start` on; without a `law` (null) it never comes."""

    simulated: ClassVar[bool] = True

    source: Literal["retirement"]
    start: str
    law: str | None
    seed: int = Field(ge=0)
    scale: float = Field(ge=0.002)  # of the company; less leaves nobody

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the quarters from `start` to `through`.

        Raises
        ------
        PerenneError
            If `start`, `through` or `law` is not a period of the contract, or `start` is after `through`.

        """

        def quarter(name: str, text: str) -> pd.Period:
            return periods.parse(text, contract.period, f"params.yaml: ingest.{name}")

        start, through = quarter("start", self.start), quarter("through", self.through)
        if start > through:
            raise PerenneError(f"params.yaml: ingest.start: {start} comes after ingest.through, {through}")
        law = quarter("law", self.law) if self.law else None
        yield from simulate(start, through, seed=self.seed, scale=self.scale, law=law)


def simulate(
    start: pd.Period, through: pd.Period, *, seed: int = 0, scale: float = 1.0, law: pd.Period | None = LAW
) -> Iterator[tuple[pd.Period, pd.DataFrame]]:
    """Yield each quarter from `start` to `through` with its rows, holding only the staff of the moment.

    A quarter does not depend on `start`. Only its labels depend on `through`: they are missing in the last
    quarter.

    Parameters
    ----------
    start, through
        The first and the last quarter.
    seed
        Decides all draws.
    scale
        Multiplies the size of the staff.
    law
        The first quarter whose departures fall under the law; None for a world without it.

    Yields
    ------
    tuple[Period, DataFrame]
        The quarter, and one row for each employee, as :func:`observed` returns them.

    Raises
    ------
    ValueError
        If `scale` leaves nobody.

    Examples
    --------
    >>> quarter = pd.Period("2020Q4", freq="Q-DEC")
    >>> [(str(when), len(rows)) for when, rows in simulate(quarter, quarter + 1, scale=0.1)]
    [('2020Q4', 947), ('2021Q1', 976)]

    """
    arrivals = round(ARRIVALS * scale)
    if arrivals < 1:
        raise ValueError(f"scale = {scale} leaves nobody: expected {1 / ARRIVALS:.3f} or more")
    staff = pd.DataFrame()
    # Whoever works at the start came within the ten years before it: beginning there with nobody is exact.
    came_first = start - 4 * (OLDEST - YOUNGEST) + 1
    for quarter in pd.period_range(came_first, through):
        # The newest come first: so nobody's draws depend on those who came before the beginning.
        staff = pd.concat([newcomers(quarter, arrivals, seed), staff], ignore_index=True)
        draws = np.random.default_rng([seed, quarter.ordinal, 1]).random((len(staff), 3))
        # The label of this quarter is a departure in the next, under the rules of the next.
        leaves = draws[:, 0] < hazard(staff, under_law=law is not None and quarter + 1 >= law)
        if quarter >= start:
            yield quarter, observed(staff, quarter, leaves if quarter < through else None, draws[:, 1:])
        staff = a_quarter_later(staff[~leaves])


def newcomers(quarter: pd.Period, n: int, seed: int) -> pd.DataFrame:
    """Return the `n` employees who turn 60 in the quarter, with all that is theirs for good.

    Parameters
    ----------
    quarter
        The quarter of their 60th birthday.
    n
        How many.
    seed
        Decides the draws, with the quarter.

    Returns
    -------
    DataFrame
        One row for each employee: `age` and `seniority` in years, `quarters` of insurance so far, `salary` in
        EUR of 2013 a year, `taste` (for leaving) in logits, and the rest as their names say.

    """
    rng = np.random.default_rng([seed, quarter.ordinal, 0])
    category = rng.choice(CATEGORIES.index.to_numpy(), n, p=CATEGORIES["share"])
    typical = CATEGORIES.loc[category].reset_index(drop=True)
    woman = rng.random(n) < 0.45
    part_time = rng.random(n) < np.where(woman, 0.30, 0.08)
    long_career = rng.random(n) < typical["long_career"]
    quarters = np.where(long_career, rng.normal(159, 5, n), rng.normal(typical["quarters"], 9, n))
    salary = typical["salary"] * np.exp(rng.normal(0, 0.22, n)) * np.where(part_time, 0.8, 1.0)
    return pd.DataFrame(
        {
            "employee": (10 * quarter.year + quarter.quarter) * 10**7 + np.arange(n),
            "age": float(YOUNGEST),
            "quarters": quarters.round().clip(max=4 * (YOUNGEST - 16)).astype(np.int64),  # school to 16
            "long_career": long_career,
            "hardship": rng.random(n) < typical["hardship"],
            "category": category,
            "salary": salary.round(-2).astype(np.int64),
            "part_time": part_time,
            "seniority": rng.integers(4, 150, n) / 4,
            "sex": np.where(woman, "woman", "man"),
            "site": rng.choice(list(SITES), n, p=list(SITES.values())),
            "taste": rng.normal(0, TASTE, n),
        }
    )


def observed(
    staff: pd.DataFrame, quarter: pd.Period, leaves: NDArray[np.bool] | None, draws: NDArray[np.float64]
) -> pd.DataFrame:
    """Return the rows as the company sees them: no taste, some absences unrecorded, in the end no label.

    Parameters
    ----------
    staff
        The employees at work, with the columns of :func:`newcomers`.
    quarter
        The quarter at the end of which they are seen.
    leaves
        Whether each leaves by the end of the next quarter, shape (staff,); None if that is not known.
    draws
        Uniform in [0, 1), shape (staff, 2): they decide the days of absence, and whether these are recorded.

    Returns
    -------
    DataFrame
        The staff without `taste`, with `absence_days` (days, NaN if unrecorded), `date` (the last day of the
        quarter) and the label `retires` (1, 0 or missing).

    """
    absence_days = np.floor(40 * np.square(np.square(draws[:, 0])))  # most have few, few have many
    return staff.drop(columns="taste").assign(
        absence_days=np.where(draws[:, 1] < 0.04, np.nan, absence_days),
        date=quarter.end_time.normalize(),
        retires=pd.Series(pd.NA if leaves is None else leaves, index=staff.index, dtype="Int8"),
    )


def a_quarter_later(staff: pd.DataFrame) -> pd.DataFrame:
    """Return the same employees, older by a quarter that counts for the pension."""
    return staff.assign(
        age=staff["age"] + 0.25, quarters=staff["quarters"] + 1, seniority=staff["seniority"] + 0.25
    )


def hazard(staff: pd.DataFrame, *, under_law: bool) -> NDArray[np.float64]:
    """Return each employee's chance to leave within the next quarter.

    The last bit of `exp` and `log` differs between CPUs, but draws are compared with the chance and never
    meet that bit (one in 10^16 would). Nothing computed from them is written unrounded.

    Parameters
    ----------
    staff
        The employees at work, with the columns of :func:`newcomers`.
    under_law
        Whether the next quarter is under the law.

    Returns
    -------
    NDArray[np.float64]
        Shape (staff,), in [0, 1].

    """
    age, quarters = staff["age"].to_numpy(), staff["quarters"].to_numpy()
    logit = (
        LEAVING
        + PER_POINT_TO_GAIN * best_gain(rate_under_law if under_law else rate, quarters, age)
        + PER_HARDSHIP * staff["hardship"]
        + PER_LOG_SALARY * np.log(staff["salary"] / TYPICAL_SALARY)
        + PER_LONG_CAREER * staff["long_career"]
        + staff["category"].map(CATEGORIES["leaving"])
        + staff["taste"]
    ).to_numpy()
    legal_age = np.where(staff["long_career"], LEGAL_AGE_LONG_CAREER, LEGAL_AGE)
    chance = np.where(age < legal_age, OTHER_REASONS, 1 / (1 + np.exp(-logit)))
    return np.where(age + 0.25 >= OLDEST, 1.0, chance)


def best_gain(rule: Rule, quarters: Numbers, age: Numbers) -> Numbers:
    """Return the points of rate worth waiting for within the horizon.

    No rule takes points away from those who wait, so the longest wait is the best.

    Parameters
    ----------
    rule
        From quarters and age to the pension's rate: :func:`rate` or :func:`rate_under_law`.
    quarters, age
        As for :func:`rate`.

    Returns
    -------
    Numbers
        Shape (employees,), in points of :func:`worth`.

    Examples
    --------
    >>> quarters, age = np.array([167, 157, 167]), np.array([62, 62, 60])
    >>> best_gain(rate, quarters, age)  # the second has ten quarters missing
    array([1.   , 6.625, 0.5  ])
    >>> best_gain(rate_under_law, quarters, age)  # the third sees no further than 64
    array([11.   , 10.375,  0.   ])

    """
    wait = np.minimum(HORIZON, 4 * (OLDEST - age))
    return worth(rule(quarters + wait, age + wait / 4)) - worth(rule(quarters, age))


def worth(rate: Numbers) -> Numbers:
    """Return what a rate is worth to an employee, in points of rate up to the full rate.

    >>> worth(np.array([40, 50, 60]))
    array([40., 50., 51.])
    """
    return np.minimum(rate, FULL_RATE) + WORTH_BEYOND * np.maximum(rate - FULL_RATE, 0)


def rate(quarters: Numbers, age: Numbers) -> Numbers:
    """Return the pension's rate before the law, in percent of the reference salary.

    What is missing is counted to 167 quarters or to the age of 67, whichever is nearer.

    Parameters
    ----------
    quarters
        Quarters of insurance, shape (employees,).
    age
        In years, shape (employees,).

    Returns
    -------
    Numbers
        Shape (employees,).

    Examples
    --------
    >>> rate(np.array([167, 157, 120, 120, 175]), np.array([62, 62, 62, 67, 63]))
    array([50.  , 43.75, 37.5 , 50.  , 52.5 ])

    """
    to_full_rate = np.minimum(FULL_RATE_QUARTERS - quarters, 4 * (FULL_RATE_AGE - age))
    missing: Numbers = to_full_rate.clip(0, MOST_MISSING)
    return FULL_RATE + POINTS_PER_QUARTER * (quarters_beyond(quarters, age) - missing)


def rate_under_law(quarters: Numbers, age: Numbers) -> Numbers:
    """Return the rate under the law: flat before 65, from then on full and more for quarters beyond.

    Parameters
    ----------
    quarters, age
        As for :func:`rate`.

    Returns
    -------
    Numbers
        In percent of the reference salary, shape (employees,).

    Examples
    --------
    >>> rate_under_law(np.array([170, 170, 120]), np.array([64.75, 65, 65]))
    array([40.   , 51.875, 50.   ])

    """
    full = FULL_RATE + POINTS_PER_QUARTER * quarters_beyond(quarters, age)
    return np.where(age < FULL_RATE_AGE_UNDER_LAW, RATE_UNDER_LAW, full)


def quarters_beyond(quarters: Numbers, age: Numbers) -> Numbers:
    """Return how many quarters were worked past both the full rate and the legal age, long career or not.

    Parameters
    ----------
    quarters, age
        As for :func:`rate`.

    Returns
    -------
    Numbers
        In quarters, shape (employees,), at least 0.

    Examples
    --------
    >>> quarters_beyond(np.array([166, 170, 170]), np.array([65, 65, 62]))
    array([0, 3, 0])

    """
    beyond: Numbers = np.minimum(quarters - FULL_RATE_QUARTERS, 4 * (age - LEGAL_AGE)).clip(0)
    return beyond
