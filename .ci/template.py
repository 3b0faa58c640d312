"""Write the part of the template of a project of one's own that follows this repository's own files.

    python .ci/template.py    # after a change to dvc.yaml, a stage file, or what else MIRRORED names

A test fails where the two differ. The other files of the template are its own, and are edited where they are.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = ROOT / "stages" / "perenne" / "new" / "template"
SUFFIX = ".tmpl"
MIRRORED = (
    *(".dvc/.gitignore", ".dvc/config", ".dvc/plots/*.json", ".dvcignore", ".gitattributes", "dvc.yaml"),
    *("data/.gitignore", "data/*/.gitignore", "stages/[!_]*.py"),
    # Not ci, story and package, which are about the library; nor deploy, whose image is built of its sources.
    *(
        f".github/workflows/{name}.yml"
        for name in ("review", "comment", "release", "rollback", "monitor", "predict")
    ),
)
HEAD = """\
# stage X runs `python -m stages.X`. requirements.txt stands for all of the library; a module of your own that
# a stage imports belongs to its deps: what is not listed can change without anything being run again.
"""


def mirrored() -> dict[str, str]:
    """The files, by their path in a project: as they are here, and `dvc.yaml` less the library's modules."""
    paths = sorted(path for pattern in MIRRORED for path in ROOT.glob(pattern))
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    return texts | {"dvc.yaml": without_library(texts["dvc.yaml"])}


def without_library(dag: str) -> str:
    """The text of `dvc.yaml` for a project that has the library from a wheel: `requirements.txt` pins it."""
    stages = dag[dag.index("stages:\n") :]
    return HEAD + re.sub(r"^ *- stages/perenne/.*\n", "", stages, flags=re.MULTILINE)


if __name__ == "__main__":
    for name, text in mirrored().items():
        path = TEMPLATE / f"{name.replace('.dvc/', f'.dvc{SUFFIX}/')}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
