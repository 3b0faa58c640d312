"""Download a version into a folder: its model, its card and its golden rows.

The service runs it in a process of its own: DVC takes seconds and memory that callers should not notice.

    python -m perenne.serving.download retirement v1.2.0 FOLDER [--require-signed]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from perenne.common.errors import run
from perenne.common.sections import contract_of
from perenne.registry import golden, tags
from perenne.registry.fetch import write

GOLDEN = (
    "golden.json"  # the body of a request for predictions; not a `Document`, which would round its numbers
)
SIGNED = "--require-signed"


def download(name: str, number: str, out: Path, *, require_signed: bool) -> None:
    """Write the files of a version: its model, its card, and its golden rows as `GOLDEN`.

    Parameters
    ----------
    name
        The model.
    number
        The version, such as v1.2.0.
    out
        The folder; it is made if needed.
    require_signed
        Whether the tag needs a good signature.

    Raises
    ------
    PerenneError
        If the version does not exist, is not signed well, or its files cannot be downloaded.

    """
    version = tags.read(name).find(number)
    rows = golden.rows(version, contract_of(name, version.commit))
    write(version, out, require_signed=require_signed)
    (out / GOLDEN).write_text(json.dumps({"rows": rows}), encoding="utf-8")


def main() -> None:
    """Run the command line."""
    name, number, out, *options = sys.argv[1:]
    download(name, number, Path(out), require_signed=SIGNED in options)


if __name__ == "__main__":
    run(main)
