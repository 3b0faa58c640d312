"""Build the wheel and the sdist of the last commit, or check what was built.

    python .ci/dist.py                 # builds both into dist/, without the network
    python .ci/dist.py check v0.1.0    # installs the wheel in a clean environment and compares it with a tag

The same commit gives the same bytes: what no commit holds is left out, and every date is that of the commit.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
SOURCES = ["pyproject.toml", "README.md", "LICENSE", "stages/perenne"]
BIN = Path(sys.executable).parent


def build() -> list[Path]:
    """Build into dist/, which is emptied first, and return the files."""
    date = int(_git("log", "-1", "--format=%ct"))
    DIST.mkdir(exist_ok=True)
    for old in DIST.iterdir():
        old.unlink()
    with TemporaryDirectory() as name:
        folder = Path(name)
        with tarfile.open(fileobj=io.BytesIO(_archive())) as archive:
            archive.extractall(folder / "source", filter="data")
        _uv_build("--sdist", folder / "source", out=folder, date=date)
        (built,) = folder.glob("*.tar.gz")
        sdist = _same_bytes(built, DIST / built.name, date)
        # From the sdist, which proves that it holds all that the wheel needs.
        _uv_build("--wheel", sdist, out=DIST, date=date)
    return sorted(DIST.iterdir())


def check(tag: str) -> str:
    """Install the wheel as a user does, at the locked versions, and return what `perenne --version` prints.

    Raises `SystemExit` where it does not agree with the tag or with the changelog.
    """
    (wheel,) = DIST.glob("*.whl")
    with TemporaryDirectory() as name:
        python = Path(name) / "venv" / "bin" / "python"
        _uv("venv", "--python", sys.executable, python.parents[1])
        _uv("pip", "install", "--python", python, "--constraint", ROOT / "requirements.txt", wheel)
        _uv("pip", "check", "--python", python)
        shown = _output(python.with_name("perenne"), "--version", folder=Path(name))
    agree(shown, tag, (ROOT / ".github" / "CHANGELOG.md").read_text(encoding="utf-8"))
    return shown


def agree(shown: str, tag: str, changelog: str) -> None:
    """Raise `SystemExit` if the version that is shown is not the tag's, or is not in the changelog."""
    version = tag.removeprefix("v")
    if shown != f"perenne {version}":
        sys.exit(f"error: the tag is {tag}, but the wheel is {shown}: change the version in pyproject.toml")
    if f"\n## [{version}] - " not in changelog:
        sys.exit(f"error: .github/CHANGELOG.md: no section for [{version}]")


def _archive() -> bytes:
    """The sources of the last commit as a tar file. Changes that it does not hold are named on stderr."""
    left_out = _git("status", "--porcelain", "--", *SOURCES)
    if left_out:
        print(f"not in the build, because no commit holds it:\n{left_out}", file=sys.stderr)
    command = [
        "git",
        "-c",
        "core.autocrlf=false",
        "-c",
        "tar.umask=0002",
        "archive",
        "--format=tar",
        "HEAD",
        *SOURCES,
    ]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout


def _same_bytes(built: Path, target: Path, date: int) -> Path:
    """Write an sdist again, without what setuptools lets differ between builds: dates, owners, order."""
    with (
        tarfile.open(built) as source,
        target.open("wb") as file,
        gzip.GzipFile("", "wb", mtime=date, fileobj=file) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = date, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() else 0o644
            member.pax_headers = {}
            archive.addfile(member, source.extractfile(member) if member.isfile() else None)
    return target


def _uv_build(kind: str, source: Path, *, out: Path, date: int) -> None:
    """Build with the setuptools of this environment, which is the lock's."""
    options = ["--offline", "--no-build-isolation", "--python", sys.executable, "--no-create-gitignore"]
    _uv("build", kind, *options, "--out-dir", out, source, SOURCE_DATE_EPOCH=str(date))


def _uv(*arguments: str | Path, **environment: str) -> None:
    # The mask of new files' permissions is part of the bytes.
    subprocess.run([BIN / "uv", "--quiet", *arguments], check=True, env=os.environ | environment, umask=0o022)


def _git(*arguments: str) -> str:
    return _output("git", *arguments, folder=ROOT)


def _output(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.rstrip()


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        print(check(sys.argv[2]))
    else:
        for path in build():
            print(sha256(path.read_bytes()).hexdigest(), path.relative_to(ROOT))
