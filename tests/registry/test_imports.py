"""Which files of ours a command runs, by its imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.registry.imports import run_by

FILES = {
    "stages/__init__.py": "",
    "stages/train.py": "import pandas\nfrom stages.features import ages\n",
    "stages/features/__init__.py": '"""Only words."""',
    "stages/features/ages.py": "from . import dates\nfrom ..other import thing\n",
    "stages/features/dates.py": "def late():\n    importlib.import_module('helpers.late')\n",
    "stages/other.py": "import stages.unused as _\nfrom perenne.common import git\n",
    "stages/models.py": "class Mine: ...\n",
    "stages/unused.py": "1",
    "helpers/late.py": "import helpers.broken",
    "helpers/broken.py": "def (",
    "stages/perenne/__init__.py": "import os\nos.environ\n",
    "stages/perenne/common/git.py": "from perenne.common.names import X\nfrom .. import warm\n",
    "stages/perenne/common/names.py": "",
    "stages/perenne/warm.py": "",
    "run.sh": "python -m stages.train",
    "tool/__main__.py": "import stages.other",
    "tool/__init__.py": "print('one statement')",
}
OTHER = {
    *("stages/other.py", "stages/unused.py", "stages/perenne/__init__.py", "stages/perenne/common/git.py"),
    *("stages/perenne/common/names.py", "stages/perenne/warm.py"),
}
TRAIN = OTHER | {
    *("stages/train.py", "stages/features/ages.py", "stages/features/dates.py"),
    *("helpers/late.py", "helpers/broken.py"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project with some code."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("python -m stages.train", TRAIN),
        ("python -u -m stages.train --fast", TRAIN),
        ("python stages/train.py", TRAIN),
        ("OMP_NUM_THREADS=1 python ./stages/train.py && true", TRAIN),
        ("python -c 'import stages.other'", OTHER),
        ("bash run.sh", {"run.sh"}),
        ("python -m tool", OTHER | {"tool/__main__.py", "tool/__init__.py"}),
        ("python -c 'from stages import models'", {"stages/models.py"}),
        ("echo 'an open quote", set()),
        ("mkdir -p data", set()),
        ("cat /etc/passwd ../run.sh", set()),
    ],
)
def test_imports_are_followed(folder: Path, command: str, files: set[str]) -> None:
    """Relative ones, those within functions, and modules that a call names; not those of other packages."""
    assert {str(Path(name)) for name in run_by(folder, [command])} == {
        name for name in files if (folder / name).read_text() or not name.endswith("__init__.py")
    }


def test_params_may_name_a_module(folder: Path) -> None:
    """An estimator of one's own, say; and a list may name several."""
    assert run_by(folder, [], ["stages.models.Mine", "sklearn.linear_model.Ridge", 5]) == {"stages/models.py"}
    assert run_by(folder, [], [["stages.models"]]) == {"stages/models.py"}
    pipeline = {"estimator": {"pipeline": [{"stages.models.Mine": {"depth": 1}}]}}
    assert run_by(folder, [], [pipeline]) == {"stages/models.py"}
