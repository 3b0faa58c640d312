"""Which case is current: the one whose params are at the root."""

from __future__ import annotations

import subprocess
from pathlib import Path

from stages.common import strict_yaml
from stages.common.batches import replacing
from stages.common.contract import CASES
from stages.common.errors import PerenneError, hint
from stages.common.params import PARAMS


def use(case: str, *, force: bool = False) -> str:
    """Copy a case's params to the root, comments and all; say what was done.

    The case that the last commit uses comes back as it was committed, tuned params included, so that going
    to another case and back leaves no Git diff. Params that are kept nowhere else are not overwritten.
    """
    cases = sorted(p.parent.name for p in CASES.glob("*/params.yaml"))
    if case not in cases:
        raise PerenneError(f"{CASES}: no case {case!r}; {hint(case, cases)}")
    committed = _committed()
    now = PARAMS.read_text(encoding="utf-8") if PARAMS.exists() else None
    starting = {name: (CASES / name / "params.yaml").read_text(encoding="utf-8") for name in cases}
    if not force and now not in (None, committed, *starting.values()):
        raise PerenneError(
            f"{PARAMS}: its changes are in no commit and would be lost; commit them, or use --force"
        )
    comes_back = committed is not None and strict_yaml.loads(committed, f"HEAD:{PARAMS}").get("case") == case
    text = committed if comes_back and committed is not None else starting[case]
    with replacing(PARAMS) as temporary:
        temporary.write_text(text, encoding="utf-8")
    source = "the last commit" if comes_back else CASES / case / "params.yaml"
    return f"{PARAMS} is now that of {case}, from {source}; dvc repro runs it"


def _committed() -> str | None:
    """The params of the last commit, None where there is none."""
    found = subprocess.run(  # noqa: S603 -- constant arguments
        ["git", "show", f"HEAD:./{PARAMS}"],  # noqa: S607 -- the user's own git
        capture_output=True,
        check=False,
        cwd=Path.cwd(),
    )
    return found.stdout.decode("utf-8") if found.returncode == 0 else None
