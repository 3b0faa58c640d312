"""`perenne predict` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from perenne.common.errors import PerenneError
from perenne.predict.commands import app


def test_place_of_the_log_without_a_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be ignored; one that the environment names is that of other commands."""
    monkeypatch.chdir(tmp_path)
    arguments = ["--out", "a.csv", "b.csv"]
    failed = CliRunner().invoke(app, [*arguments, "--log-url", "sqlite:///a.sqlite"])
    assert isinstance(failed.exception, PerenneError)
    says = "--log-url: says where to log, but nothing is logged without --log; add --log"
    assert str(failed.exception) == says
    passed = CliRunner().invoke(app, arguments, env={"PERENNE_LOG_URL": "sqlite:///a.sqlite"})
    assert "--log-url" not in str(passed.exception)
