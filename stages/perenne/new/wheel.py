"""A wheel of the library that is running: no index has Perenne, so a project of one's own brings it along.

Same source, same bytes: every date in it is fixed, so that two projects pin one hash.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from perenne.common.errors import PerenneError

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "stages/perenne")
EPOCH = 315532800  # 1980-01-01, the first date that a zip file can hold
# What an installer adds to the metadata of a wheel; another installation would have others.
ADDED = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD", "uv_build.json", "uv_cache.json")


def of_library(folder: Path) -> Path:
    """Write a wheel of the library that is running into a folder, and return its path.

    A development install is built from its sources, any other one is packed again from its installed files.

    Raises
    ------
    PerenneError
        If the library is not installed, or cannot be built.

    """
    try:
        library = distribution("perenne")
    except PackageNotFoundError:
        raise PerenneError("perenne is not installed, so it has no wheel; --wheel FILE names one") from None
    source = _editable(library)
    return _built(source, folder) if source else _packed(library, folder)


def _editable(library: Distribution) -> Path | None:
    """The sources of a development install; None of any other."""
    url = json.loads(library.read_text("direct_url.json") or "{}")
    editable = url.get("dir_info", {}).get("editable", False)
    return Path(unquote(urlsplit(url["url"]).path)) if editable else None


def _built(source: Path, folder: Path) -> Path:
    """Build from a copy: setuptools leaves files beside its sources, and builds those of before."""
    copy = folder / "source"
    for name in SOURCES:
        if (source / name).is_dir():
            shutil.copytree(source / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copyfile(source / name, copy / name)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 -- no shell
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(copy)],
        env=os.environ | {"SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,  # the modes of files are part of the bytes
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip wheel says nothing"])[-1]
        raise PerenneError(f"no wheel can be built of {source}: {reason}; --wheel FILE names one")
    shutil.rmtree(copy)
    (wheel,) = folder.glob("perenne-*.whl")
    return wheel


def _packed(library: Distribution, folder: Path) -> Path:
    """Pack the installed files: those of the package, and the metadata that came with its wheel."""
    found: dict[str, bytes] = {}
    for file in library.files or ():
        installed = file.name in ADDED and file.parent.suffix == ".dist-info"
        if not installed and file.suffix != ".pyc" and file.parts[0] != "..":
            found[str(file)] = file.read_binary()
    info = f"perenne-{library.version}.dist-info"
    record = io.StringIO()
    rows = [(name, _digest(content), len(content)) for name, content in sorted(found.items())]
    csv.writer(record, lineterminator="\n").writerows([*rows, (f"{info}/RECORD", "", "")])
    found[f"{info}/RECORD"] = record.getvalue().encode()
    wheel = folder / f"perenne-{library.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(found.items()):
            member = zipfile.ZipInfo(name)
            member.external_attr = 0o100644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return wheel


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
