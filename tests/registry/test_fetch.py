"""Fetching a released model: the one that its tag proves, or none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from perenne.common import locked, model_file, names
from perenne.common.errors import PerenneError
from perenne.registry.fetch import fetch
from tests.conftest import Enter
from tests.project import Project


@pytest.fixture
def inside(company: Project, enter: Enter) -> Project:
    """Return the released company as the current folder."""
    enter(company)
    return company


def bring(which: str = "prod", out: str = "out", *, require_signed: bool = False) -> str:
    """Fetch into a folder."""
    return fetch("retirement", which, out=Path(out), require_signed=require_signed)


@pytest.mark.parametrize("which", ["prod", "v1.0.0", "1.0.0", "retirement@v1.0.0"])
def test_fetched_model_is_the_released_one(inside: Project, which: str) -> None:
    """By its stage or its version, refitted after it was proven; it can be loaded by its card."""
    sha256 = json.loads(inside.read("data/model/released.json"))["sha256"]
    assert bring(which).startswith(f"retirement@v1.0.0 is in out/model.skops, sha256 {sha256}")
    assert hashlib.sha256((inside.path / "out/model.skops").read_bytes()).hexdigest() == sha256
    model_file.load(Path("out/model.skops"), Path("out/model.json"))


def test_fetched_in_a_clone_without_anything(inside: Project, enter: Enter) -> None:
    """A clone without tags, data or cache needs no more than its remotes."""
    inside.run("git clone -q --no-tags --depth 1 file://$PWD/../origin.git ../service")
    service = Project(inside.path.parent / "service")
    enter(service)
    bring()
    assert (service.path / "out/model.skops").read_bytes() == (inside.path / names.RELEASED).read_bytes()


def test_model_that_is_not_the_tags_is_refused(inside: Project) -> None:
    """A commit whose lock names another model than its tag proves brings nothing."""
    message = inside.out("git tag -l --format='%(contents)' retirement@v1.0.0")
    sha256 = json.loads(inside.read("data/model/released.json"))["sha256"]
    inside.write("../message", message.replace(sha256, "a" * 64).replace("v1.0.0", "v9.0.0"))
    inside.run(
        "git commit -q --allow-empty -m forged && "
        "git tag -a -F ../message --cleanup=verbatim retirement@v9.0.0"
    )
    with pytest.raises(
        PerenneError, match=f"its sha256 is {sha256}, but its tag retirement@v9.0.0 says aaaa"
    ):
        bring("v9.0.0")
    assert not (inside.path / "out").exists()


def test_tag_without_proof_is_refused(inside: Project) -> None:
    """A version that was registered by other means is none that can be trusted."""
    inside.run("git commit -q --allow-empty -m next && gto register retirement")
    with pytest.raises(PerenneError, match=r"retirement@v1\.0\.1: the tag holds no proof"):
        bring("v1.0.1")


def test_lost_model_is_told(inside: Project) -> None:
    """With the command that makes it again."""
    md5 = locked.load("HEAD").out(names.RELEASED).md5
    for place in (".dvc/cache", "../home/perenne-storage"):
        (inside.path / place / "files/md5" / md5[:2] / md5[2:]).unlink()
    with pytest.raises(PerenneError, match="perenne restore VERSION makes it again"):
        bring()


def test_signature_is_asked_for(inside: Project) -> None:
    """An unsigned tag is refused; one signed by a key that Git trusts is not; one by another key is."""
    with pytest.raises(PerenneError, match=r"retirement@v1\.0\.0: no good signature"):
        bring(require_signed=True)
    for name in ("ada", "eve"):
        inside.run(f"ssh-keygen -q -t ed25519 -N '' -C {name} -f ../key-{name}")
    inside.run("echo ada@example.org $(cat ../key-ada.pub) > ../allowed")
    inside.run("git config gpg.format ssh && git config gpg.ssh.allowedSignersFile $PWD/../allowed")
    for version, key in (("v1.1.0", "ada"), ("v1.2.0", "eve")):
        message = inside.out("git tag -l --format='%(contents)' retirement@v1.0.0")
        inside.write("../message", message)
        inside.run(f"git commit -q --allow-empty -m {version}")
        inside.run(
            f"git -c user.signingkey=$PWD/../key-{key}.pub "
            f"tag -s -F ../message --cleanup=verbatim retirement@{version}"
        )
    assert bring("v1.1.0", require_signed=True).startswith("retirement@v1.1.0 is in")
    with pytest.raises(PerenneError, match=r"retirement@v1\.2\.0: no good signature"):
        bring("v1.2.0", "elsewhere", require_signed=True)
