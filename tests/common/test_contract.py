"""The contract: what it may say, what it means, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import names
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from tests import classes, tiny
from tests.project import ROOT

HEADLINE = "headline: {{figure: period_age, along: {}, first: 1, last: {}, step: 1}}\ncolumns:"


@pytest.mark.parametrize("case", ["retirement", "flights", "payments"])
def test_contracts_of_the_cases_are_good(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come with the project."""
    monkeypatch.chdir(ROOT)
    assert read_contract(case).target in read_contract(case).columns


def test_roles_name_columns() -> None:
    """A role is one word or a list of them."""
    rows = tiny.contract()
    assert rows.features == ["size", "colour", "adult", "member"]
    assert (rows.target, rows.time, rows.entity, rows.slices) == ("won", "seen", ["id"], ["colour"])
    assert rows.block is None
    assert not rows.independent


def test_rows_may_be_independent() -> None:
    """Who says so has answered: nothing is measured."""
    rows = tiny.contract("label_delay: 0", "label_delay: 0\nblock: none")
    assert rows.independent
    assert rows.block is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("period: month", "perod: month", "perod: unknown key; did you mean 'period'? Valid: block, columns"),
        ("period: month", "period: years", "period: found 'years', must be 'hour', 'day', 'week', 'month', "),
        ("label_delay: 0", "label_delay: 0\nblock: day", "block: found 'day', must be 'none'"),
        ("label_delay: 0", "label_delay: -1", "label_delay: found -1, must be greater than or equal to 0"),
        ("label_delay: 0", "label_delay: 1000000", "label_delay: found 1000000, must be less than or equal"),
        ("label_delay: 0", "label_delay: 0.5", "label_delay: found 0.5, must be an integer"),
        ("task: binary", "task: ranking", "task: found 'ranking', must be 'binary', 'multiclass' or 're"),
        ("type: number", "type: float", "columns.size.type: found 'float', must be 'integer', 'number', 'bo"),
        ("range: [0", "rnage: [0", "columns.size.rnage: unknown key; did you mean 'range'? Valid: about, bi"),
        ("[0, 100]", "[0]", "columns.size.range.1: missing"),
        ("[0, 100]", "[0, x]", "columns.size: range: found 'x', must be a number"),
        ("[0, 100]", "[0, .inf]", "columns.size.range.1: found inf, must be a finite number"),
        ("[0, 100]", "100", "columns.size.range: found 100, must be a list such as [a, b]"),
        ("[0, 100]", "[100, 0]", "columns.size: the range [100.0, 0.0] is empty"),
        ("[red, blue]", "[red, true]", "columns.colour.values.1: found True, must be a string or an integer"),
        ("[red, blue]", "[1, '1.0']", "columns.colour: the values [1, '1.0'] hold one value twice"),
        ("[red, blue]", "[red, ' ']", "columns.colour: the values ['red', ' '] hold an empty one; write mis"),
        ("[red, blue]", "[]", "columns.colour: the list of values is empty; leave it out to allow any"),
        ("[feature, slice]", "[feature, slcie]", "columns.colour.role.1: found 'slcie', must be 'feature',"),
        ("missing: true}\n  colour", "missing: yes}\n  colour", "columns.size.missing: found 'yes', must be"),
        ("type: boolean, ", "type: boolean, range: [0, 1], ", "columns.adult: a boolean has no range; use v"),
        ("type: boolean, ", "type: boolean, values: [no], ", "columns.adult: the values ['no'] of a boolean"),
        ("type: boolean, ", "type: boolean, values: [], ", "columns.adult: the values [] of a boolean must"),
        ("type: boolean, ", "type: boolean, values: [a, b, c], ", "columns.adult: the values ['a', 'b', 'c'"),
        ("type: boolean, ", "type: boolean, values: [no, 'NO '], ", "columns.adult: the values ['no', 'NO']"),
        ("type: boolean, ", "type: boolean, values: [no, ' '], ", "columns.adult: the values ['no', ''] of"),
        ("type: boolean, ", "type: boolean, values: [x, 'False'], ", "columns.adult: the values ['x', 'Fals"),
        ("type: number, ", "type: number, values: [1, 2], ", "columns.size: a number has no list of values"),
        ("values: [0, 1]", "values: [no, yes]", "columns.won: the values ['no', 'yes'] of an integer are no"),
        ("values: [0, 1]", "values: [0, 1, 2]", "columns.won: an integer target of a binary task needs valu"),
        ("role: target", "role: [target, feature]", "columns.won: the target cannot be a feature of itself"),
        ("role: target", "role: ignored", "columns: exactly one has the role target, found none"),
        ("role: entity", "role: time", "columns: exactly one has the role time, found ['id', 'seen']"),
        ("datetime, role: time", "category, role: time", "columns.seen: the time must be a datetime"),
        ("role: time", "role: time, missing: true", "columns.seen: the time cuts rows into periods and cann"),
        ("role: entity", "role: block, missing: true", "columns.id: a block cannot be missing: it says"),
        ("role: entity", "role: [entity, ignored]", "columns.id: the role ignored stands alone, found ['ent"),
        ("number, role: feature", "number, role: [feature, version]", "columns.size: the role version stan"),
        ("type: boolean, role: feature", "type: boolean, role: version", "columns.adult: a boolean has no o"),
        ("integer, role: entity", "integer, role: version", "columns.id: of what is it the version? No col"),
        ("range: [0, 100]", "bins: [9, 1]", "columns.size: the bins [9.0, 1.0] do not rise"),
        ("number, role: feature", "number, role: slice", "columns.size: a number that is a slice needs bins"),
        ("number, role: feature, range: [0, 100]", "text, role: feature", "columns.size: a text cannot be a"),
        ("columns:", HEADLINE.format("sizes", 9), "headline.along: 'sizes' is not a numeric feature; did"),
        ("columns:", HEADLINE.format("size", 1), "headline: last: found 1, must be greater than first"),
    ],
)  # fmt: skip
def test_mistake_is_one_line(old: str, new: str, line: str) -> None:
    """The line names the file, the key, the value and what would do."""
    with pytest.raises(PerenneError) as caught:
        tiny.contract(old, new)
    assert str(caught.value).startswith(f"contract.yaml: {line}")
    assert "\n" not in str(caught.value)


HEAD = "headline: {figure: period_age, along: rain, first: 1, last: 9, step: 1}\ncolumns:"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (", values: [wheat, maize, rye]", "", "columns.crop: the target of a multiclass task needs values"),
        ("[wheat, maize, rye]", "[wheat, rye]", "columns.crop: the target of a multiclass task needs value"),
        ("[wheat, maize, rye]", str([*range(101)]), "columns.crop: the target of a multiclass task needs v"),
        ("[wheat, maize, rye]", "[wheat, rye, rye]", "columns.crop: the values ['wheat', 'rye', 'rye'] hol"),
        ("category, role: target", "number, role: target", "columns.crop: a number has no list of values"),
        ("category, role: target, values: [wheat, maize, rye]", "text, role: target", "columns.crop: the t"),
        ("columns:", HEAD, "headline: period_age is of an event, not of classes; leave it out"),
        ("  rain:", "  'prediction: rain':", "columns.'prediction: rain': a name is not blank, holds no c"),
    ],
)  # fmt: skip
def test_mistake_in_a_target_of_several_classes_is_one_line(old: str, new: str, line: str) -> None:
    """It needs its values, at least three and at most a hundred."""
    with pytest.raises(PerenneError) as caught:
        classes.contract(old, new)
    assert str(caught.value).startswith(f"contract.yaml: {line}")
    assert "\n" not in str(caught.value)


def test_classes_are_the_values_of_the_target() -> None:
    """In the contract's order; an event has two, a quantity none."""
    assert classes.contract().classes == ("wheat", "maize", "rye")
    numbered = classes.contract(
        "category, role: target, values: [wheat, maize, rye]", "integer, role: target, values: [4, 2, 3, 1]"
    )
    assert numbered.classes == (4, 2, 3, 1)
    assert tiny.contract().classes == (0, 1)
    quantity = tiny.CONTRACT.replace("task: binary", "task: regression")
    assert (
        tiny.contract("integer, role: target, values: [0, 1]", "number, role: target", quantity).classes == ()
    )


@pytest.mark.parametrize("name", [*names.TAKEN, "__known", "", " ", '"a\\nb"', '"\\0"'])
def test_no_column_has_a_name_of_ours(name: str) -> None:
    """One line says whose it is, whatever the role of the column."""
    written = name if name.startswith('"') else f'"{name}"'
    for old in ("size:", "won:", "id:"):
        with pytest.raises(PerenneError, match=r"give .*, in the data as well") as caught:
            tiny.contract(f"  {old}", f"  {written}:")
        assert "\n" not in str(caught.value)


def test_words_of_a_boolean() -> None:
    """The first is false and the second true; without words it is what anybody would write."""
    good = tiny.contract("type: boolean, ", "type: boolean, values: [good, Bad], ").columns["adult"]
    assert good.words == {"good": False, "bad": True, "false": False, "true": True}
    swapped = tiny.contract("type: boolean, ", "type: boolean, values: [1, 0], ").columns["adult"]
    assert swapped.words == {"1": False, "0": True, "false": False, "true": True}
    assert tiny.contract().columns["adult"].words is None
    assert tiny.contract().columns["colour"].words is None


def test_contract_needs_a_feature() -> None:
    """Nothing can be learned from nothing."""
    text = "\n".join(line for line in tiny.CONTRACT.splitlines() if "feature" not in line)
    with pytest.raises(PerenneError, match="columns: at least one has the role feature"):
        tiny.contract(text=text)


def test_unknown_case_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the file that says so, the case, and those that exist."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/cases/tiny").mkdir(parents=True)
    (tmp_path / "data/cases/tiny/contract.yaml").write_text(tiny.CONTRACT, encoding="utf-8")
    assert read_contract("tiny") == tiny.contract()
    with pytest.raises(PerenneError, match=r"params\.yaml: case: 'tny' .*did you mean 'tiny'"):
        read_contract("tny")
