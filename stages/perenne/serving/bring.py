"""Bring a version into a folder: its model, its card and its golden rows.

A process of its own, that the service starts: DVC takes seconds and memory, which callers should not notice.

    python -m perenne.serving.bring retirement v1.2.0 FOLDER [--require-signed]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from perenne.common.errors import run
from perenne.common.sections import contract_of
from perenne.registry import golden, tags
from perenne.registry.fetch import write

ROWS = "golden.json"
SIGNED = "--require-signed"


def bring(name: str, which: str, out: Path, *, require_signed: bool) -> None:
    """Write the files; a `PerenneError` says why a version cannot be had."""
    version = tags.read(name).find(which)
    rows = golden.rows(version, contract_of(name, version.commit))
    write(version, out, require_signed=require_signed)
    (out / ROWS).write_text(json.dumps(rows), encoding="utf-8")


def main() -> None:
    """Do what the command line says."""
    name, which, out, *options = sys.argv[1:]
    bring(name, which, Path(out), require_signed=SIGNED in options)


if __name__ == "__main__":
    run(main)
