"""Keep files as an artifact, as actions/upload-artifact does: below the last folder that they share."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path


def main() -> None:
    """Write the archive into the state of the tests' GitHub."""
    given = [Path(line) for line in os.environ["PATHS"].splitlines() if line]
    files = sorted(
        {file for path in given for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()}
    )
    if not files:
        sys.exit(0 if os.environ["IF_NONE"] == "ignore" else 1)
    top = Path(os.path.commonpath(given if given[0].is_dir() else [file.parent for file in files]))
    run = os.environ["GITHUB_RUN_ID"]
    archive = Path(os.environ["HUB"], "artifacts", "" if run == "1" else run, f"{os.environ['NAME']}.zip")
    archive.parent.mkdir(exist_ok=True, parents=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as written:
        for file in files:
            written.write(file, file.relative_to(top))


if __name__ == "__main__":
    main()
