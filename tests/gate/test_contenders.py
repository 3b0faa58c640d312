"""A model that is compared is the file that its card and its tag name, or there is no comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perenne.common import names
from perenne.common.errors import PerenneError
from perenne.gate import contenders
from perenne.registry import storage
from perenne.registry.tags import TaggedModel
from tests.conftest import Enter
from tests.project import Project

OTHER = "0" * 64


def test_model_that_is_not_the_one_of_its_tag_is_refused(founded: Project, enter: Enter) -> None:
    """The tag names a sha256; a file with another one is not loaded."""
    enter(founded)
    assert contenders.of("HEAD", "v1.0.0", "retirement").sha256 != OTHER
    with pytest.raises(PerenneError, match=f"but the tag of v1.0.0 says {OTHER}"):
        contenders.of("HEAD", "v1.0.0", "retirement", TaggedModel(names.MODEL, OTHER))


def test_model_that_is_not_the_one_of_its_card_is_refused(
    founded: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card lies beside the model and names its sha256."""
    enter(founded)
    real = storage.obtain

    def forged(rev: str, path: Path) -> bytes:
        content = real(rev, path)
        if path != names.CARD:
            return content
        return json.dumps(json.loads(content) | {"sha256": OTHER}).encode()

    monkeypatch.setattr(storage, "obtain", forged)
    with pytest.raises(PerenneError, match=f"{names.CARD} of HEAD says {OTHER}"):
        contenders.of("HEAD", "v1.0.0", "retirement")
