"""Features at serving: to the bit those of the pipeline, by the store or by earlier rows that are sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from perenne.common import batches
from perenne.common.contract import Contract
from perenne.common.features import BatchFeatures
from perenne.common.past import Past, stored
from perenne.predict.file_features import FileFeatures
from perenne.registry.change import inputs
from perenne.serving.completion import RequestFeatures
from perenne.serving.rows import InputRow, PredictAdapter, input_columns
from tests import shop
from tests.common.test_derived import CONTRACT, MONTHS, stream

OURS = list(CONTRACT.derived)
LAST = MONTHS[-1]
SENT = [name for name in input_columns(CONTRACT) if name in CONTRACT.raw]


def sent(rows: pd.DataFrame, names: Sequence[str], contract: Contract = CONTRACT) -> list[InputRow]:
    """Return rows as JSON has them."""
    table = batches.to_table(rows[list(names)], batches.schema(contract, list(names)))
    whole = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
    found: list[InputRow] = json.loads(json.dumps(whole, default=lambda time: time.isoformat()))
    return found


def read(rows: list[InputRow], contract: Contract = CONTRACT) -> list[InputRow]:
    """Return rows as the service has read them."""
    return PredictAdapter(contract, len(rows)).validate_json(json.dumps({"rows": rows}))["rows"]


def as_rows(made: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the derived features of clean rows in the service's types; missing ones are left out."""
    table = batches.to_table(made, batches.schema(CONTRACT)).select(OURS)
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def own(rows: Sequence[InputRow]) -> list[dict[str, Any]]:
    """Return the derived features of completed rows."""
    return [{name: row[name] for name in OURS if name in row} for row in rows]


def history(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Past, list[pd.DataFrame]]:
    """Return the last month, the same with its features, the store before it, and the months before."""
    months, features = stream(seed), BatchFeatures(CONTRACT)
    for month in MONTHS[:-1]:
        features.add(months[month], month)
    store = features.store()
    return months[LAST], features.add(months[LAST], LAST), stored(store, CONTRACT), [*months.values()][:-1]


def first_times(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows before which their customer has none in the same month."""
    first = rows.groupby("customer", dropna=False)["at"].transform("min")
    return rows[(rows["at"] == first) | rows["customer"].isna()]


@pytest.mark.parametrize("seed", range(2))
def test_store_gives_the_pipelines_features(seed: int) -> None:
    """One by one and all together: of what the pipeline knew before the month, the same bits."""
    rows, made, past, _ = history(seed)
    known = first_times(rows)
    service = RequestFeatures(CONTRACT, past)
    requests = read(sent(known, SENT))
    expected = as_rows(made.loc[known.index])
    assert own(service.complete(requests).rows) == expected
    assert [own(service.complete([row]).rows)[0] for row in requests] == expected
    assert sum("last" in row for row in expected) > 1


@pytest.mark.parametrize("seed", range(2))
def test_earlier_rows_of_a_request_give_the_pipelines_features(seed: int) -> None:
    """Sent in any order, with rows that are later, and without any store."""
    rows, made, _, before = history(seed)
    every = pd.concat([*before, rows])
    fields = ["order", "at", "pay", "hours", "colour", "new", "due", "won"]
    requests = sent(rows, SENT)
    for request, customer in zip(requests, rows["customer"], strict=True):
        mine = every[every["customer"] == customer].sample(frac=1, random_state=1)
        request["history"] = sent(mine, fields)
    found = own(RequestFeatures(CONTRACT).complete(read(requests)).rows)
    with_customer = rows["customer"].notna().to_numpy()
    expected = as_rows(made)
    assert [f for f, has in zip(found, with_customer, strict=True) if has] == [
        e for e, has in zip(expected, with_customer, strict=True) if has
    ]


TWO = """\
  an hour: {ratio: [pay, hours]}
  mine: {mean: pay, rows: 3}
  of colour: {mean: pay, rows: 3, by: colour}
"""


def test_earlier_row_counts_for_the_entity_that_it_names() -> None:
    """Where features name entities in two ways, as in the store; one that names none is the row's own."""
    text = shop.CONTRACT[: shop.CONTRACT.index("derived:")] + "derived:\n" + TWO
    contract = shop.contract(text=text)
    history = [
        {"ordered": "2021-06-01", "customer": 1, "colour": "blue", "pay": 100.0},
        {"ordered": "2021-06-02", "customer": 2, "colour": "red", "pay": 4.0},
        {"ordered": "2021-06-03", "customer": 1, "colour": "red", "pay": 50.0},
        {"ordered": "2021-06-04", "pay": 6.0},
    ]
    row = {"customer": 1, "ordered": "2021-07-05", "pay": 1.0, "hours": 1, "colour": "red"}
    request = PredictAdapter(contract, 1).validate_json(json.dumps({"rows": [row | {"history": history}]}))
    (found,) = RequestFeatures(contract).complete(request["rows"]).rows
    assert (found["mine"], found["of colour"]) == (52.0, 20.0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("pieces", [1, 5])
def test_file_gives_the_pipelines_features(seed: int, pieces: int) -> None:
    """By the store and the file's own earlier rows, in whatever pieces and order it is read."""
    rows, made, past, _ = history(seed)
    rows = rows.drop(columns="won").sample(frac=1, random_state=seed)
    features = FileFeatures(CONTRACT, past)
    parts = [rows.iloc[part] for part in np.array_split(np.arange(len(rows)), pieces)]
    for part in parts:
        features.add(part)
    found = pd.concat([features.complete(part) for part in parts]).sort_index()
    found = found.assign(won=made["won"])[list(CONTRACT.columns)]
    like = batches.schema(CONTRACT)
    assert batches.to_table(found, like).equals(batches.to_table(made, like))


def test_newest_batch_is_predicted_as_it_was_made() -> None:
    """The store keeps its rows: they get the features that they had, and do not see themselves twice."""
    months, features = stream(2), BatchFeatures(CONTRACT)
    made = [features.add(months[month], month) for month in MONTHS][-1]
    again = FileFeatures(CONTRACT, stored(features.store(), CONTRACT))
    again.add(months[LAST])
    like = batches.schema(CONTRACT)
    assert batches.to_table(again.complete(months[LAST]), like).equals(batches.to_table(made, like))
    kept = again.complete(made.assign(last=-1.0))
    assert set(kept["last"]) == {-1.0}, "what a file has of them is left"


def test_features_that_are_sent_are_used() -> None:
    """Whoever knows them may send them, and what is made of them follows."""
    row = {"customer": "1", "at": "2021-06-05", "pay": 7.0, "hours": 2, "new": True, "last": 3.0}
    row |= {"colour": "red", "due": "2021-06-01"}
    (found,) = RequestFeatures(CONTRACT).complete(read([row])).rows
    assert found["last"] == 3.0
    assert found["change"] == 4.0
    assert found["share"] == 3.5
    assert "mean" not in found


def test_answer_says_how_old_the_history_is() -> None:
    """The newest earlier row that was known; none for an unknown entity, or before the store begins."""
    rows, _, past, before = history(0)
    newest = pd.concat(before).groupby("customer")["at"].max()
    service = RequestFeatures(CONTRACT, past)
    row = {"at": "2021-07-03T12:00:00", "new": True}
    requests = read([row | {"customer": each} for each in ("0", "nobody")] + [row])
    assert service.complete(requests).newest == [newest["0"].isoformat(), None, None]
    early = read([row | {"customer": "0", "at": "2021-03-03"}])
    assert service.complete(early).newest == [None]
    assert not {"last", "orders"} & service.complete(early).rows[0].keys()
    assert service.through == "2021-05"
    assert len(rows)


def test_a_store_knows_no_target_that_had_not_matured() -> None:
    """However late a row is: the labels of the store's last month had not arrived."""
    months = stream(0)
    made = []
    for flipped in (False, True):
        features = BatchFeatures(CONTRACT)
        for month in MONTHS:
            won = months[month]["won"]
            features.add(months[month].assign(won=~won if flipped and month == LAST else won), month)
        service = RequestFeatures(CONTRACT, stored(features.store(), CONTRACT))
        row = {"customer": "1", "at": "2022-01-01", "new": True}
        made.append(service.complete(read([row])).rows)
    assert made[0] == made[1]
    assert "won before" in made[0][0]


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"at": None}, ("at",)),
        ({"history": [{"pay": 1.0}]}, ("history", 0, "at")),
        ({"history": [{"at": "2021-01-01", "payed": 1.0}]}, ("history", 0, "payed")),
        ({"history": [{"at": "2021-01-01"}] * 1001}, ("history",)),
        ({"share": 1.0}, ("share",)),
        ({"last": "much"}, ("last",)),
    ],
)
def test_wrong_request_is_refused(changed: dict[str, Any], where: tuple[object, ...]) -> None:
    """A row without its time, earlier rows that are none, and a feature that the row itself makes."""
    row = {"at": "2021-07-03", "new": True} | changed
    with pytest.raises(ValidationError) as error:
        read([{key: value for key, value in row.items() if value is not None}])
    assert error.value.errors()[0]["loc"] == ("rows", 0, *where)


def test_callers_notice_what_they_must_send() -> None:
    """A feature that looks back needs nothing new of a caller; one that is made of a new column does."""
    old = shop.contract()
    longer = shop.contract("mean pay: {mean: pay, rows: 3}", "mean pay: {mean: pay, rows: 5}")
    assert inputs(old, longer) == []
    other = shop.contract("hours: {type: integer, role: source", "hours: {type: number, role: source")
    assert inputs(old, other) == ["contract: feature hours: integer  or missing -> number  or missing"]
