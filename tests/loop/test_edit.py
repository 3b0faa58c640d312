"""Edit: a value changes where it stands, and nothing else does."""

from __future__ import annotations

import pytest

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.loop.edit import replaced
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
