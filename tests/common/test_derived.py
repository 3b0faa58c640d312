"""Derived features: nothing later is ever seen, and what cannot be made is one line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perenne.common import batches, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.features import BatchFeatures
from perenne.common.past import Group, Past, stored
from perenne.predict.file_features import FileFeatures
from tests import shop

# Every kind of feature that looks back, of every type, by whole entities and by a part of them.
EVERY = """\
row: one order
task: binary
period: month
label_delay: 1
columns:
  order: {type: category, role: entity}
  customer: {type: category, role: entity, missing: true}
  at: {type: datetime, role: time}
  pay: {type: number, role: feature, missing: true}
  hours: {type: integer, role: source, missing: true}
  colour: {type: category, role: feature, missing: true}
  new: {type: boolean, role: feature}
  due: {type: datetime, role: source, missing: true}
  won: {type: boolean, role: target}
derived:
  share: {ratio: [pay, hours]}
  hour: {part: hour, of: at}
  last: {lag: pay, by: customer}
  last but one: {lag: share, rows: 2, by: customer}
  last hours: {lag: hours, by: customer}
  last colour: {lag: colour, by: customer}
  was new: {lag: new, by: customer}
  last due: {lag: due, by: customer}
  mean: {mean: pay, rows: 3, by: customer}
  total: {sum: share, within: 40 days, by: customer}
  least: {min: hours, rows: 2, by: customer}
  most: {max: pay, within: 2 weeks, by: customer}
  orders: {count: true, within: 30 days, by: customer}
  colours: {count: colour, rows: 4, by: customer}
  won before: {lag: won, by: customer}
  won of all: {mean: won, rows: 3, by: customer}
  won lately: {sum: won, within: 70 days, by: customer}
  change: {difference: [pay, last]}
"""
DECLARED = EVERY[EVERY.index("derived:") :]
CONTRACT = shop.contract(text=EVERY)
MONTHS = pd.period_range("2021-01", "2021-06", freq="M")


def stream(seed: int, customers: int = 4, per_month: int = 12) -> dict[pd.Period, pd.DataFrame]:
    """Return typed rows of some months: few customers, missing values, many rows of one time."""
    rng = np.random.default_rng(seed)
    months = {}
    for month in MONTHS:
        n = per_month
        days = rng.integers(0, 5, n) * 5  # ties, of the same customer as well
        raw = pd.DataFrame(
            {
                "order": [f"{month} {number}" for number in range(n)],
                "customer": rng.choice(np.array([*map(str, range(customers)), None], dtype=object), n),
                "at": [month.start_time + pd.Timedelta(int(day), "D") for day in days],
                "pay": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n).round(3)),
                "hours": rng.choice(np.array([None, 0, 1, 2, 3], dtype=object), n),
                "colour": rng.choice(np.array([None, "red", "blue"], dtype=object), n),
                "new": rng.random(n) < 0.5,
                "due": [month.start_time if number % 3 else None for number in range(n)],
                "won": rng.random(n) < 0.5,
            }
        )
        months[month] = pd.DataFrame({n: batches.typed(raw[n], c) for n, c in CONTRACT.raw.items()})
    return months


def derived(
    months: dict[pd.Period, pd.DataFrame], contract: Contract = CONTRACT
) -> dict[pd.Period, pa.Table]:
    """Return the clean batches of some months, as `validate` writes them."""
    features = BatchFeatures(contract)
    schema = batches.schema(contract)
    return {period: batches.to_table(features.add(rows, period), schema) for period, rows in months.items()}


Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def altered(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return rows with other values in all columns but those that say which rows they are."""
    return rows.assign(
        pay=rng.normal(size=len(rows)) * 1e6,
        hours=pd.Series(rng.integers(5, 99, len(rows)), index=rows.index, dtype="Int64"),
        colour=pd.Series("green", index=rows.index, dtype="str"),
        new=~rows["new"],
        due=rows["due"] + pd.Timedelta(days=1),
        won=~rows["won"],
    )


def moved(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return rows of other customers, in another order."""
    return rows.assign(customer=rng.permutation(rows["customer"])).sample(frac=1, random_state=1)


def fewer(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return some of the rows."""
    return rows[rng.random(len(rows)) < 0.5]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("change", [altered, moved, fewer])
@pytest.mark.parametrize("boundary", [1, 4])
def test_later_batches_change_no_byte(seed: int, change: Change, boundary: int) -> None:
    """Whatever becomes of all months from some month on, the features of those before are the same."""
    months, rng = stream(seed), np.random.default_rng(seed)
    other = {
        month: change(rows, rng) if month >= MONTHS[boundary] else rows for month, rows in months.items()
    }
    expected, found = derived(months), derived(other)
    for month in MONTHS[:boundary]:
        assert found[month].equals(expected[month])
    assert not all(found[month].equals(expected[month]) for month in MONTHS[boundary:])
    without = derived({month: rows for month, rows in months.items() if month < MONTHS[boundary]})
    assert all(without[month].equals(expected[month]) for month in without)


@pytest.mark.parametrize("seed", range(2))
def test_no_row_sees_its_own_time_or_later(seed: int) -> None:
    """Within a month, too: other values from some time on, in other rows, change nothing at that time."""
    months, rng = stream(seed), np.random.default_rng(seed)
    month = MONTHS[3]
    rows = months[month]
    for at in sorted(rows["at"].unique()):
        later = rows["at"] >= at
        other = pd.concat([rows[~later], altered(rows[later], rng)]).sort_index()
        made = [derived(months | {month: each})[month].to_pandas() for each in (rows, other)]
        looking = [*CONTRACT.remembered]
        same = rows["at"] <= at
        pd.testing.assert_frame_equal(made[0].loc[same, looking], made[1].loc[same, looking])


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_a_target_is_seen_once_it_is_known(delay: int) -> None:
    """Of a month and the `label_delay` months after it, no target is seen in the month that follows."""
    contract = shop.contract("label_delay: 1", f"label_delay: {delay}", EVERY)
    months = stream(0)
    of_targets = ["won before", "won of all", "won lately"]
    expected = derived(months, contract)[MONTHS[4]].select(of_targets)
    for place, month in enumerate(MONTHS[:5]):
        other = months[month].assign(won=~months[month]["won"])
        found = derived(months | {month: other}, contract)[MONTHS[4]].select(of_targets)
        if place + delay >= 4:
            assert found.equals(expected)
        if place + delay == 3:
            assert not found.equals(expected)


def brute(rows: pd.DataFrame, row: pd.Series, delay: int) -> dict[str, Any]:
    """Return some features of a row as their definition says, by a search through all rows."""
    mine = rows[(rows["customer"] == row["customer"]) & (rows["at"] < row["at"])]
    mine = mine.assign(tie=mine["order"].map(repr)).sort_values(["at", "tie"])
    month = row["at"].to_period("M")
    months = periods.of(mine["at"], "month").astype("int64")
    known = mine[months < month.ordinal - delay]
    lately = mine[mine["at"] >= row["at"] - pd.Timedelta(days=30)]
    pays = mine["pay"].tail(3).dropna()
    return {
        "last": mine["pay"].iloc[-1] if len(mine) else None,
        "last colour": mine["colour"].iloc[-1] if len(mine) else None,
        "mean": pays.mean() if len(pays) else None,
        "orders": len(lately),
        "least": mine["hours"].tail(2).min() if mine["hours"].tail(2).notna().any() else None,
        "won before": known["won"].iloc[-1] if len(known) else None,
    }


def test_figures_are_what_they_are_called() -> None:
    """Each is compared with a search through all rows; a row without a customer has none."""
    months = stream(7)
    rows = pd.concat(months.values(), ignore_index=True)
    made = pa.concat_tables(derived(months).values()).to_pandas(
        types_mapper={pa.int64(): pd.Int64Dtype()}.get
    )
    assert bool(made.loc[made["customer"].isna(), CONTRACT.remembered].isna().to_numpy().all())
    for place, row in rows[rows["customer"].notna()].iterrows():
        for name, value in brute(rows, row, 1).items():
            got = made[name].iloc[int(str(place))]
            assert (value is None or pd.isna(value)) == pd.isna(got), (place, name)
            if not pd.isna(got):
                assert got == pytest.approx(value), (place, name)


def test_order_of_rows_changes_no_byte() -> None:
    """A batch whose rows arrive in another order has the same features, row by row."""
    months = stream(1)
    shuffled = {month: rows.sample(frac=1, random_state=3) for month, rows in months.items()}
    for month, table in derived(shuffled).items():
        back = table.to_pandas().set_index("order").loc[months[month]["order"]].reset_index()
        pd.testing.assert_frame_equal(back[list(CONTRACT.columns)], derived(months)[month].to_pandas())


@pytest.mark.parametrize("seed", range(2))
def test_store_has_all_that_later_rows_need(seed: int) -> None:
    """The last batch has the same features by the store of the batches before it, and by its own."""
    months = stream(seed)
    *before, last = MONTHS
    features = BatchFeatures(CONTRACT)
    for month in before:
        features.add(months[month], month)
    store = features.store()
    again = BatchFeatures(CONTRACT)
    again.past = stored(store, CONTRACT)
    again.past.through = None
    found = batches.to_table(again.add(months[last], last), batches.schema(CONTRACT))
    assert found.equals(derived(months)[last])
    assert len(store) < sum(len(months[month]) for month in before)
    again = BatchFeatures(CONTRACT)
    for month in before:
        again.add(months[month], month)
    assert again.store().equals(store, check_metadata=True)


@pytest.mark.parametrize("name", CONTRACT.remembered)
def test_what_is_dropped_is_needed_by_no_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself, dropping rows after each batch: as if all were kept, and by the store as well."""
    wanted = {name, *(set(CONTRACT.derived[name].ingredients) & set(CONTRACT.derived))}
    lines = [line for line in DECLARED.splitlines() if line.strip().split(":")[0] in wanted]
    columns = EVERY.removesuffix(DECLARED).replace("role: source", "role: feature")
    alone = shop.contract(text=f"{columns}derived:\n" + "\n".join(lines))
    months, schema = stream(11, per_month=20), batches.schema(alone)
    with monkeypatch.context() as patched:
        patched.setattr(Group, "prune", lambda *_: None)
        expected = derived(months, alone)
    monkeypatch.setattr(Past, "closed", partialmethod(Past.closed, last=True))
    features = BatchFeatures(alone)
    for month, rows in months.items():
        assert batches.to_table(features.add(rows, month), schema).equals(expected[month])
        store = stored(features.past.table(month), alone)
        assert batches.to_table(FileFeatures(alone, store).complete(rows), schema).equals(expected[month])


def test_memory_holds_the_last_rows_alone() -> None:
    """However long a history is: an entity's rows are dropped once no later row can need them."""
    features = BatchFeatures(CONTRACT)
    held = []
    for number, month in enumerate(pd.period_range("2000-01", periods=48, freq="M")):
        rows = stream(0)[MONTHS[0]]
        rows = rows.assign(
            at=month.start_time + (rows["at"] - MONTHS[0].start_time),
            order=[f"{number} {n}" for n in range(len(rows))],
        ).astype({"at": "datetime64[us]", "order": "str"})
        features.add(rows, month)
        held.append(sum(len(past) for group in features.past.groups for past in group.entities.values()))
    assert max(held[24:]) <= max(held[:24])


WRONG = {
    "weekly: {part: weekday, of: pay}": "derived.weekly: part: 'pay' is a number, must be a datetime",
    "x: {part: decade, of: ordered}": "derived.x.part: found 'decade', must be 'hour'",
    "x: {part: weekday}": "derived.x: of: missing; name the datetime column",
    "x: {part: weekday, of: [ordered, ordered]}": "derived.x: of: found ['ordered', 'ordered']; name the",
    "x: {count: false, rows: 2}": "derived.x.count: found False, must be true, or a column whose",
    "x: {ratio: [pay, hour]}": "derived.x: ratio: 'hour' is not a column; did you mean 'hours'?",
    "x: {ratio: [pay, colour]}": "derived.x: ratio: 'colour' is a category, must be integer or number",
    "x: {ratio: pay}": "derived.x.ratio: found 'pay', must be a list such as [a, b]",
    "x: {log: returned}": "derived.x: log: 'returned' is the target, which is not known at the row",
    "x: {difference: [pay, ordered]}": "derived.x: difference: of two numbers or of two datetimes",
    "x: {lag: pay, rows: 0}": "derived.x: rows: found 0, must be 1 to 1000",
    "x: {lag: pay, within: 3 days}": "derived.x: within does not go with lag; it goes with mean, sum",
    "x: {mean: pay}": "derived.x: mean: give either rows, as in rows: 3, or within, as in within: 30 days",
    "x: {mean: pay, rows: 2, within: 3 days}": "derived.x: mean: give either rows",
    "x: {mean: pay, within: a month}": "derived.x: within: found 'a month', must be a time of at most",
    "x: {mean: pay, rows: 3, by: costumer}": "derived.x: by: 'costumer' is not a column; did you mean 'cust",
    "x: {lag: y}\n  y: {ratio: [pay, hours]}": "derived.x: lag: 'y' is declared below it; move it up",
    "x: {ratio: [x, pay]}": "derived.x: ratio: is made of itself",
    "x: {lag: y}\n": "derived.x: lag: 'y' is not a column; valid:",
    "y: {lag: pay}\n  x: {mean: y, rows: 2}": "derived.x: mean: 'y' is made of earlier rows itself",
    "pay: {lag: hours}": "derived.pay: there is a column of this name; give the feature another one",
    "prediction: {lag: pay}": "derived.prediction: is the column of scores; give it another name",
    "x: {lag: pay, mean: pay, rows: 2}": "derived.x: found lag and mean, must be one of part, ratio",
    "x: {role: feature}": "derived.x: found none, must be one of part, ratio, log",
    "x: {lagg: pay}": "derived.x.lagg: unknown key; did you mean 'lag'?",
    "x: {lag: pay, role: [feature, slice]}": "derived.x: a number that is a slice needs bins",
    "x: {lag: pay, role: block}": "derived.x: role: found 'block', must be feature, slice or ignored",
    "x: {code: sklearn.make}": "derived.x: code: found 'sklearn.make', must be a function such as",
    "x: {log: pay, rows: 2}": "derived.x: rows does not go with log; it goes with lag, mean",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_feature_is_one_line(text: str) -> None:
    """It names the key and the value, and says what would do."""
    declared = shop.CONTRACT[: shop.CONTRACT.index("derived:")] + f"derived:\n  n: {{log: hours}}\n  {text}\n"
    with pytest.raises(PerenneError) as error:
        shop.contract(text=declared)
    assert f"contract.yaml: {WRONG[text]}" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "hours: {type: integer, role: source",
            "hours: {type: integer, role: ignored",
            "derived.pay an hour: ratio: 'hours' has the role ignored, so requests may lack it; give it the "
            "role "
            "source",
        ),
        (
            "{type: integer, role: entity}",
            "{type: integer, role: ignored}",
            "derived.pay before: lag: of whose earlier rows? No column is an entity; name one",
        ),
        (
            "pay an hour: {ratio: [pay, hours]}",
            "",
            "columns.hours: is a source, but no derived feature is made of it; give it the role",
        ),
        (
            "colour: {type: category, role: [feature",
            "colour: {type: category, role: [feature, source",
            "columns.colour: a source is neither a feature nor the target",
        ),
    ],
)
def test_wrong_role_is_one_line(old: str, new: str, line: str) -> None:
    """The roles of columns and the features that are made of them fit each other."""
    with pytest.raises(PerenneError) as error:
        shop.contract(old, new)
    assert f"contract.yaml: {line}" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_entities_that_never_return_are_an_error() -> None:
    """If each row has an entity of its own, no feature would ever have a value."""
    months = stream(0)
    features = BatchFeatures(shop.contract(", by: customer", "", EVERY))
    for month, rows in months.items():
        features.add(rows, month)
    with pytest.raises(
        PerenneError, match=r"derived.last: no row has an earlier one of the same order and custo"
    ):
        features.store()


def test_contract_without_derived_features_is_as_before() -> None:
    """Nothing is added, nothing is kept, and rows are not touched."""
    plain = shop.contract(text=shop.CONTRACT[: shop.CONTRACT.index("derived:")].replace("source", "feature"))
    features, rows = BatchFeatures(plain), shop.orders()
    assert features.add(rows, MONTHS[0]) is rows
    assert features.store() == pa.table({})
    assert plain.raw == plain.columns
