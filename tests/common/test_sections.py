"""params.yaml, for what runs outside the DAG."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import sections
from perenne.common.errors import PerenneError


def test_folder_without_params_is_an_error_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the file: the command was started outside a project."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PerenneError, match=r"^params.yaml: no such file"):
        sections.case()


@pytest.mark.parametrize("text", ["split: {}", "case:", "case: 7"])
def test_params_that_name_no_case_are_an_error(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing case is never taken for a case called None."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PerenneError, match=r"^params.yaml: case: found .* must be the name of a folder"):
        sections.case()
