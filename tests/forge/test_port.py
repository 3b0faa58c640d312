"""The port: every host implements all of it, and the rest of the library knows nothing else of a Git host."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from perenne import forge
from perenne.common.errors import PerenneError
from perenne.forge.github import GitHub
from perenne.forge.port import Forge
from perenne.registry import variables
from tests.forge.double import Double
from tests.project import ROOT

LIBRARY = ROOT / "stages" / "perenne"
# A runner of GitHub Actions is what these are about; the other commands of the room reach GitHub by the port.
RUNNER = LIBRARY / "actions" / "runner.py"
WORDS = re.compile(r"GITHUB_\w+|\bGH_TOKEN\b|[\"']gh[\"']|\bgh\.|import gh\b|STARTS_WORKFLOWS|repos/")


@pytest.mark.parametrize("side", [*forge.FORGES, Double])
def test_host_implements_the_whole_port(side: type[Forge]) -> None:
    """Every method, with the port's own parameters and results."""
    assert side.__abstractmethods__ == frozenset()
    for name in Forge.__abstractmethods__:
        ours, theirs = inspect.getattr_static(Forge, name), inspect.getattr_static(side, name)
        assert type(ours) is type(theirs), name
        assert signature(theirs) == signature(ours), name
    for name in ("bot", "comment_limit", "secrets"):
        assert getattr(side, name), name


def signature(member: object) -> inspect.Signature:
    """Return the signature of a method, a class method or a property."""
    function = getattr(member, "fget", None) or getattr(member, "__func__", member)
    assert callable(function)
    return inspect.signature(function)


def test_host_is_the_one_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None on a terminal; a command that needs one says so."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "ada/perenne")
    host = forge.current()
    assert isinstance(host, GitHub)
    assert host.repository == forge.required().repository == "ada/perenne"
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert forge.current() is None
    with pytest.raises(PerenneError, match=r"in the workflows of a Git host \(GitHub\), and this is not one"):
        forge.required()


def test_no_token_of_a_host_reaches_the_code_of_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is added brings the names of its tokens along."""
    assert {"GH_TOKEN", "GITHUB_TOKEN"} <= set(forge.SECRETS)
    for name in forge.SECRETS:
        monkeypatch.setenv(name, "secret")
    assert "secret" not in {**variables.stages(), **variables.storage(), **variables.packages()}.values()


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(LIBRARY.rglob("*.py")) if file.parent != LIBRARY / "forge" and file != RUNNER],
    ids=lambda file: str(file.relative_to(LIBRARY)),
)
def test_no_other_module_knows_a_host(file: Path) -> None:
    """Its command, its variables and its addresses are used behind the port only."""
    code = re.sub(r'"""(?s:.*?)"""', "", file.read_text(encoding="utf-8"))
    assert WORDS.findall(code) == []
