"""A champion whose features are derived: it is scored with what it has learned from, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from perenne.common.errors import PerenneError
from perenne.gate import contenders
from perenne.gate.contenders import Loaded, must_have_features
from perenne.registry import own_code
from tests import shop

ANY: Any = None  # a model that is not scored


def champion(text: str = shop.CONTRACT, commit: str | None = None) -> Loaded:
    """Return a model of a contract."""
    return Loaded("v1.0.0 in prod", ANY, "0" * 64, shop.contract(text=text), 1, commit)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mean pay: {mean: pay, rows: 3}", "mean pay: {mean: pay, rows: 5}"),
        ("pay before: {lag: pay}", "pay before: {lag: pay, rows: 2}"),
        ("pay an hour: {ratio: [pay, hours]}", "pay an hour: {ratio: [hours, pay]}"),
        ("label_delay: 1", "label_delay: 2"),
        ("within: 40 days", "within: 41 days"),
        ("hours: {type: integer", "hours: {type: number"),
    ],
)
def test_another_feature_under_an_old_name_is_refused(old: str, new: str) -> None:
    """The champion would be scored with values that it has not learned from; the line says what to do."""
    with pytest.raises(
        PerenneError, match=r"^contract: derived\..*: is not made as in v1.0.0 in prod, .*ignored"
    ):
        must_have_features(champion(), shop.contract(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pay before: {lag: pay}", "pay before: {lag: pay, role: ignored}"),
        (
            "mean pay: {mean: pay, rows: 3}",
            "mean pay: {mean: pay, rows: 3, about: of the last orders, unit: EUR}",
        ),
        ("derived:", "derived:\n  log pay: {log: pay}"),
        ("pay: {type: number, role: feature", "pay: {type: number, role: source"),
    ],
)
def test_more_features_and_other_roles_are_no_hindrance(old: str, new: str) -> None:
    """What the champion has learned from is still made, whatever is made besides."""
    known = shop.CONTRACT.replace("pay: {type: number, role: feature", "pay: {type: number, role: source")
    must_have_features(champion(known), shop.contract(old, new))


def test_a_feature_that_is_gone_is_named() -> None:
    """As of a column that is gone."""
    with pytest.raises(
        PerenneError, match=r"columns.weekday: found none, but v1.0.0 in prod is scored with a cat"
    ):
        must_have_features(champion(), shop.contract("weekday: {part: weekday, of: ordered}", ""))


def test_other_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature of the same name, made by a file that has changed since."""
    text = f"{shop.CONTRACT}  mine: {{code: stages.ours.make}}\n"
    files: dict[str | None, dict[str, str]] = {"abc": {"stages/ours.py": "1"}, None: {"stages/ours.py": "1"}}
    monkeypatch.setattr(own_code, "files", lambda rev=None: files[rev])
    contenders.must_have_features(champion(text, "abc"), shop.contract(text=text))
    files[None] = {"stages/ours.py": "2"}
    with pytest.raises(
        PerenneError, match=r"^stages/ours.py: is not as in v1.0.0 in prod, whose features it"
    ):
        contenders.must_have_features(champion(text, "abc"), shop.contract(text=text))
    contenders.must_have_features(champion(shop.CONTRACT, "abc"), shop.contract(text=text))
