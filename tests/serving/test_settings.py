"""The section `serve`: typed, and closed to other machines by default."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

import perenne.serving
from perenne.common.errors import PerenneError
from perenne.serving import commands, settings

TOKEN = "0123456789abcdef" * 4
NOTHING = hashlib.sha256(b"").hexdigest()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(section: str, **options: object) -> settings.ServeSettings:
    """Return the settings of a params.yaml with this section."""
    Path("params.yaml").write_text(f"case: tiny\nserve: {section}\n", encoding="utf-8")
    return settings.load(**options)


def test_section_may_be_left_out_or_empty() -> None:
    """All keys have defaults: this machine only, committed predictions."""
    Path("params.yaml").write_text("case: tiny\n", encoding="utf-8")
    assert settings.load() == load("{}") == load("")
    assert load("{}").host == "127.0.0.1"
    assert load("{}").log == "commit"


def test_command_line_takes_precedence() -> None:
    """Options that are not set leave the file's value."""
    loaded = load("{port: 1, poll_seconds: 5}", port=2, log_url=None)
    assert (loaded.port, loaded.poll_seconds) == (2, 5)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])  # noqa: S104 -- refused
def test_other_machines_need_a_token(host: str) -> None:
    """Without a token the settings are invalid, and the error says what to set."""
    with pytest.raises(PerenneError, match=r"params.yaml: serve: host: .* set token_sha256"):
        load(f'{{host: "{host}"}}')
    assert load(f'{{host: "{host}", token_sha256: "{TOKEN}"}}').host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    """Loopback addresses in every notation."""
    assert load(f'{{host: "{host}"}}').token_sha256 is None


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{prt: 8000}", "serve.prt: unknown key; did you mean 'port'"),
        ("{port: 70000}", r"serve.port: found 70000"),
        ("{log: never}", "serve.log: found 'never'"),
        ("{token_sha256: secret}", "serve.token_sha256: found 'secret'"),
        (f'{{token_sha256: "{NOTHING}"}}', "serve.token_sha256: .*sha256 of nothing"),
        (f'{{tokens: {{admin: ["{TOKEN}", "{NOTHING}"]}}}}', r"serve.tokens.admin.*: .*sha256 of nothing"),
        ("8000", "serve: expected a mapping, found 8000"),
    ],
)
def test_mistake_is_named(section: str, message: str) -> None:
    """In one line with the key and the value."""
    with pytest.raises(PerenneError, match=message):
        load(section)


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline does not need the service's packages; the error says how to install them."""
    # Another test may have imported the module; Python would then take it from the package.
    monkeypatch.delattr(perenne.serving, "server", raising=False)
    monkeypatch.delitem(sys.modules, "perenne.serving.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(
        PerenneError,
        match=r"^uvloop is not installed; make dev installs it, and so does "
        r"pip install 'perenne\[serve\] @ git\+REPOSITORY_URL@TAG'$",
    ):
        commands.serve()
