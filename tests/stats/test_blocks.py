"""The contract answers first; else the figures do, and where its block misses something, a line says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.common.block import Block, labels_of
from perenne.stats.blocks import Alike, block
from perenne.stats.metrics import Array
from tests import tiny
from tests.stats.test_memory import remembering


def rows(days: int = 90) -> pd.DataFrame:
    """Return three months of the tiny case, thirty visits a day, without what this is not about."""
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.repeat(np.arange(days), 30), unit="D")
    return pd.DataFrame({"id": np.arange(30 * days) % 700, "seen": when + pd.Timedelta(hours=7)})


def test_the_contract_answers_first() -> None:
    """A column, or that rows are independent; nothing is measured then, except how alike neighbours are."""
    frame = rows()
    shocks = remembering(np.random.default_rng(5), 0.6, 90)
    values = np.repeat(shocks, 30) + np.random.default_rng(6).normal(size=len(frame))
    assert block(frame, values, tiny.contract()).part == "day"
    none = block(frame, values, tiny.contract("label_delay: 0", "label_delay: 0\nblock: none"))
    assert none == Block(why="the contract says that rows are independent")
    person = block(frame, values, tiny.contract("role: entity", "role: [entity, block]"))
    assert person == Block(columns=("id",), why="the contract says that rows of one id are a block")
    day = {"day": frame["seen"].dt.normalize()}
    timed = Alike(frame.assign(**day), DAY).counted(values)
    assert timed.block.columns == ("day",)
    assert timed.choice is not None
    assert timed.choice.neighbours is not None
    assert timed.choice.neighbours.days == 90
    assert timed.choice.neighbours.autocorrelation == pytest.approx(0.6, abs=0.25)


def test_every_row_gets_its_block() -> None:
    """Of persons as they come; of days the same number in every batch."""
    frame, contract = rows(), tiny.contract()
    rng = np.random.default_rng(7)
    person = block(frame, rng.normal(size=700)[frame["id"]] + rng.normal(size=len(frame)), contract)
    assert person.columns == ("id",)
    assert (labels_of(frame, contract, person) == frame["id"]).all()
    assert (labels_of(frame, contract, Block()) == np.arange(len(frame))).all()
    weeks = Block(part="day", span=7)
    whole, later = labels_of(frame, contract, weeks), labels_of(frame[900:], contract, weeks)
    assert (whole[900:] == later).all()
    assert len(np.unique(whole)) in (13, 14)
    assert (np.diff(whole) >= 0).all()


def test_days_are_those_of_the_contracts_clocks() -> None:
    """An hour before midnight in UTC it is already the next day in Paris."""
    frame = pd.DataFrame({"seen": pd.to_datetime(["2021-01-01 22:30", "2021-01-01 23:30"])})
    paris = tiny.contract("label_delay: 0", "label_delay: 0\nzone: Europe/Paris")
    for contract, apart in ((tiny.contract(), 0), (paris, 1)):
        assert np.diff(labels_of(frame, contract, Block(part="day"))) == [apart]


PERSON = tiny.contract("role: entity", "role: [entity, block]")
DAY = tiny.contract("  won:", "  day: {type: datetime, role: block}\n  won:")


def test_nothing_is_to_be_said_of_independent_rows() -> None:
    """Whether the contract names a block or not; the figures are there."""
    frame = rows()
    values = np.random.default_rng(8).normal(size=len(frame))
    for contract, measured in ((tiny.contract(), ["id", "day"]), (PERSON, ["day"])):
        found = Alike(frame, contract).counted(values)
        assert found.line == ""
        assert found.choice is not None
        assert list(found.choice.sharing) == measured


def test_what_the_contracts_block_misses_is_said_and_it_counts_nevertheless() -> None:
    """Days that share something, where persons are the block."""
    frame, rng = rows(), np.random.default_rng(9)
    shocks = np.repeat(0.5 * rng.normal(size=90), 30)
    found = Alike(frame, PERSON).counted(shocks + rng.normal(size=len(frame)))
    assert found.block.columns == ("id",)
    assert found.line.startswith("rows of one day are alike (design effect ")
    assert found.line.endswith(
        ") even if they differ in id: intervals are too narrow; give a column of the day the role `block`"
    )


def test_what_rows_of_one_block_share_is_not_missed() -> None:
    """Persons who are seen ten times on each of their days share a lot then, and their days nothing more."""
    frame, rng = rows(), np.random.default_rng(10)
    frame["id"] = np.arange(len(frame)) // 10
    values = rng.normal(size=frame["id"].nunique())[frame["id"]] + rng.normal(size=len(frame))
    found = Alike(frame, PERSON).counted(values)
    assert found.line == ""
    assert found.choice is not None
    assert found.choice.sharing["day"].effect == pytest.approx(1, abs=0.4)
    assert Alike(frame, tiny.contract()).counted(values).block.kind != "row"


def test_days_of_the_contract_that_resemble_each_other_count_several_as_one() -> None:
    """The line says how many; bounds that measure that by themselves take single days."""
    frame = rows(300)
    frame["day"] = frame["seen"].dt.normalize()
    rng = np.random.default_rng(11)
    shocks = np.repeat(remembering(rng, 0.7, 300), 30)
    found = Alike(frame, DAY).counted(shocks + rng.normal(size=len(frame)))
    assert found.block.span > 1
    assert f"{found.block.span} days in a row are a block" in found.line
    several, single = (labels_of(frame, DAY, each) for each in (found.block, found.block.single))
    assert len(np.unique(single)) == 300
    assert (several == single // found.block.span).all()


def test_of_rows_that_are_judged_by_period_only_those_of_one_period_count() -> None:
    """A person who is seen once a month is a block of a year, and none of a month."""
    when = pd.period_range("2021-01", periods=12, freq="M").repeat(200).to_timestamp()
    rng = np.random.default_rng(12)
    frame = pd.DataFrame({"id": np.tile(np.arange(200), 12), "seen": when + pd.Timedelta(days=3)})
    frame["seen"] += pd.to_timedelta(rng.integers(0, 20, len(frame)), unit="D")
    values = rng.normal(size=200)[frame["id"]] + rng.normal(size=len(frame))
    contract = tiny.contract()
    assert Alike(frame, contract).counted(values).block.columns == ("id",)
    assert Alike(frame, contract, within=True).counted(values).block.kind == "row"


def monthly(months: int, shock: float, seed: int = 13) -> tuple[pd.DataFrame, Array]:
    """Return 600 visits in each month, on 28 days; rows of a month share a part of their residuals."""
    rng = np.random.default_rng(seed)
    when = pd.period_range("2021-01", periods=months, freq="M").repeat(600).to_timestamp()
    frame = pd.DataFrame({"id": np.arange(600 * months), "seen": when + pd.Timedelta(hours=7)})
    frame["seen"] += pd.to_timedelta(np.tile(np.arange(600) % 28, months), unit="D")
    return frame, np.repeat(shock * rng.normal(size=months), 600) + rng.normal(size=len(frame))


def test_months_that_share_something_are_blocks() -> None:
    """Where there are ten of them: fewer cannot be told from chance."""
    frame, values = monthly(12, 0.3)
    found = Alike(frame, tiny.contract()).counted(values)
    assert (found.block.part, found.block.span) == ("month", 1)
    assert found.line.startswith("rows of one month share something (design effect ")
    assert "): each month is a block; to answer in the contract, " in found.line
    assert found.within is not None
    assert (found.within.kind, found.within.beside) == ("row", "month")
    assert found.choice is not None
    assert found.choice.sharing["month"].effect == pytest.approx(1 + 600 * 0.09, rel=0.5)
    assert len(np.unique(labels_of(frame, tiny.contract(), found.block))) == 12
    short = Alike(frame[:5_400], tiny.contract()).counted(values[:5_400])
    assert (short.block.kind, short.within) == ("row", None)
    assert Alike(frame, tiny.contract(), within=True).counted(values).block.kind == "row"


def test_months_of_days_that_share_something_are_not_blocks() -> None:
    """What a month's days share among themselves is in its days; a month adds nothing."""
    for root in (0.0, 0.5):
        rng = np.random.default_rng(14)
        frame, values = monthly(24, 0.0)
        days = np.unique(frame["seen"], return_inverse=True)[1]
        found = Alike(frame, tiny.contract()).counted(values + 0.5 * remembering(rng, root, 24 * 28)[days])
        assert (found.block.part, found.within) == ("day", None)


def test_months_and_people_that_share_something_are_both_named() -> None:
    """A block is one of them; the line says that the other is left out, and `within` that it is beside."""
    frame, values = monthly(12, 0.12)
    frame["id"] = np.tile(np.arange(600), 12)
    values = values + 1.5 * np.random.default_rng(15).normal(size=600)[frame["id"]]
    found = Alike(frame, tiny.contract()).counted(values)
    assert (found.block.columns, found.block.beside) == (("id",), "month")
    assert found.within == found.block
    assert "rows of one month share something (design effect " in found.line
    assert "as well: intervals are too narrow" in found.line


def test_independent_rows_seldom_get_a_month() -> None:
    """With one more question, as seldom as before: in one of twenty cases any block."""
    hits = 0
    for seed in range(200):
        frame, values = monthly(12, 0.0, seed)
        hits += Alike(frame, tiny.contract()).counted(values).block.kind != "row"
    assert hits <= stats.binom.ppf(0.999, 200, 0.05)


def test_people_and_days_that_share_something_cross() -> None:
    """One is the block and the other is beside it; not where people share nothing, or have one day each."""
    rng = np.random.default_rng(16)
    who, day = np.tile(np.arange(40), 60), np.repeat(np.arange(60), 40)
    frame = pd.DataFrame({"id": who, "seen": pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D")})
    noise, days = rng.normal(size=len(frame)), 0.4 * rng.normal(size=60)[day]
    people = 0.6 * rng.normal(size=40)[who]
    found = Alike(frame, tiny.contract()).counted(noise + days + people)
    assert (found.block.columns, found.block.also) == (("id",), Block(part="day"))
    assert "each id is a block; rows of one day share something as well; to answer" in found.line
    other = Alike(frame, tiny.contract()).counted(noise + 3 * days + people).block
    assert (other.part, other.also) == ("day", Block(columns=("id",)))
    assert Alike(frame, tiny.contract()).counted(noise + days).block.also is None
    assert Alike(frame, tiny.contract(), within=True).counted(noise + days + people).block.also is None
    nested = Alike(frame.assign(id=day * 4 + who // 10), tiny.contract())
    assert nested.counted(noise + days).block.also is None
