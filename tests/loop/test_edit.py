"""Edit: a value changes where it stands, and nothing else does."""

from __future__ import annotations

import pytest

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.loop.edit import placed, replaced
from tests.project import ROOT

TEXT = """\
# Above.
split: # in quarters
  as_of: 2019Q4 # the last
  window: 20
flow: {as_of: '2019Q4', deep: {window: 1}} # of another's
as_of: 2013-05
"""


def test_nothing_but_the_value_changes() -> None:
    """Comments, order, quotes elsewhere, and a key of the same name in another section stay."""
    new = replaced(TEXT, {"split.as_of": "2021Q3", "split.window": 2, "flow.deep.window": 7}, "params.yaml")
    changed = [(a, b) for a, b in zip(TEXT.splitlines(), new.splitlines(), strict=True) if a != b]
    assert changed == [
        ("  as_of: 2019Q4 # the last", "  as_of: 2021Q3 # the last"),
        ("  window: 20", "  window: 2"),
        ("flow: {as_of: '2019Q4', deep: {window: 1}} # of another's", changed[2][1]),
    ]
    assert changed[2][1] == "flow: {as_of: '2019Q4', deep: {window: 7}} # of another's"


def test_value_that_is_there_already_changes_nothing() -> None:
    """However it is written."""
    assert replaced(TEXT, {"split.window": 20, "flow.as_of": "2019Q4", "as_of": "2013-05"}, "x") == TEXT


def test_day_is_written_so_that_dvc_can_read_it() -> None:
    """DVC takes a bare 2013-05-17 for a date and refuses it, so it is written in quotes."""
    new = replaced(TEXT, {"as_of": "2013-05-17", "flow.as_of": "2013-05-18"}, "params.yaml")
    assert new.endswith('\nas_of: "2013-05-17"\n')
    assert 'flow: {as_of: "2013-05-18",' in new


@pytest.mark.parametrize("file", ["params.yaml", "data/cases/flights/params.yaml"])
def test_params_of_every_case_can_be_moved(file: str) -> None:
    """By every key that a retraining moves."""
    text = (ROOT / file).read_text()
    values: dict[str, str | int] = {"split.as_of": "2013-11", "split.window": 3, "ingest.through": "2013-12"}
    found = strict_yaml.loads(replaced(text, values, "params.yaml"))
    assert (found["split"]["as_of"], found["split"]["window"]) == ("2013-11", 3)
    assert found["ingest"]["through"] == "2013-12"


@pytest.mark.parametrize("period", ["2013-05-17 14:00", "2013-05-13/2013-05-19", "2013-05-17", "2021Q3"])
def test_periods_of_every_unit_can_be_written(period: str) -> None:
    """As the value of a line, and in braces."""
    for key in ("split.as_of", "flow.as_of"):
        found = strict_yaml.loads(replaced(TEXT, {key: period}, "x"))
        section, name = key.split(".")
        assert found[section][name] == period


@pytest.mark.parametrize("key", ["split.holdout", "split", "nowhere.at_all", "split.as_of.more"])
def test_key_that_is_not_there_is_named(key: str) -> None:
    """Nothing is added: it might be a default, or a typo."""
    with pytest.raises(PerenneError, match=rf"^params\.yaml: {key}: missing, or no single value"):
        replaced(TEXT, {key: "1"}, "params.yaml")


def test_value_that_would_be_read_as_another_is_refused() -> None:
    """Such as a text that looks like a number, or begins a comment."""
    for value in ("12", "a # b", "[1"):
        with pytest.raises(PerenneError):
            replaced(TEXT, {"split.as_of": value}, "params.yaml")


TRAIN = """\
train: # of scikit-learn
  estimator: sklearn.a # which
  params: # its own
    rate: 0.1 # slow
    deep: {a: 1, b: [1, 2]} # nested

  # what follows
  seed: 0
empty: {}
last:
  one: 1"""


def test_value_of_any_kind_is_placed_and_all_else_stays() -> None:
    """Numbers keep their type, texts are quoted where they must be, lists and mappings are replaced."""
    values = {
        "train.estimator": "sklearn.b",
        "train.params.rate": 1e-05,
        "train.params.deep.a": True,
        "train.params.deep.b": [None, "yes: no", 0.5],
    }
    new = placed(TRAIN, values, "x")
    assert new == TRAIN.replace("sklearn.a #", "sklearn.b #").replace("0.1 #", "1.0e-05 #").replace(
        "{a: 1, b: [1, 2]}", "{a: true, b: [null, 'yes: no', 0.5]}"
    )


def test_keys_that_are_missing_are_added_at_the_end_of_their_section() -> None:
    """On a line of their own, or in the same braces; sections that are missing as well."""
    values = {"train.params.new": 2, "empty.key": "2013-05-17", "last.two": None, "train.params.deep.c.d": 1}
    new = placed(TRAIN, values, "x")
    assert "    deep: {a: 1, b: [1, 2], c: {d: 1}} # nested\n    new: 2\n\n  # what" in new
    assert 'empty: {key: "2013-05-17"}\nlast:\n  one: 1\n  two: null' in new


def test_whole_section_is_replaced_line_by_line() -> None:
    """Its comments go with it, those around it stay."""
    new = placed(TRAIN, {"train.params": {"C": 1.0, "tol": 1}}, "x")
    assert "  params: # its own\n    C: 1.0\n    tol: 1 # nested\n\n  # what follows\n  seed: 0" in new
    assert strict_yaml.loads(placed(TRAIN, {"train.params": {}}, "x"))["train"]["params"] == {}


def test_integer_and_float_are_different_values() -> None:
    """1 and 1.0 are equal in Python, and not to an estimator."""
    assert placed("a: 1 # one\n", {"a": 1.0}, "x") == "a: 1.0 # one\n"
    assert placed("a: 1 # one\n", {"a": 1}, "x") == "a: 1 # one\n"


def test_key_below_a_single_value_cannot_be_placed() -> None:
    """The value would be lost."""
    with pytest.raises(PerenneError, match=r"^x: train\.seed: found a single value"):
        placed(TRAIN, {"train.seed.more": 1}, "x")
