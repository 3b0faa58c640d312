"""The current case: the one whose params are at the root. Those of every other case are in its own folder."""

from __future__ import annotations

from pathlib import Path

from perenne.common import strict_yaml
from perenne.common.disk import replacing
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES, INCOMING, PARAMS


def use(case: str) -> str:
    """Make a case current: its params go to the root, those of the case before go back to its folder.

    Each case has one `params.yaml`, so what was tuned is found where the case is, and nothing can be lost.

    Parameters
    ----------
    case
        The name of its folder under data/cases.

    Returns
    -------
    str
        A sentence that says which params are now at the root.

    Raises
    ------
    PerenneError
        If there is no such case, its params name another one, or those at the root cannot be put back.

    """
    cases = [path.parent.name for path in CASES.glob("*/contract.yaml")]
    if not cases:
        raise PerenneError(f"{CASES}: no case in {Path.cwd()}; run this in the project's own folder")
    if case not in cases:
        raise PerenneError(f"{CASES}: no case {case!r}; {hint(case, cases)}")
    before = current()
    if before == case:
        return f"{PARAMS} is that of {case} already"
    chosen = own(case)
    if not chosen.is_file():
        raise PerenneError(f"{chosen}: is not there; copy that of another case, and correct it")
    if _case(chosen) != case:
        raise PerenneError(
            f"{chosen}: case: found {_case(chosen)!r}, must be {case!r}, the name of its folder"
        )
    text = chosen.read_bytes()
    if before is not None:
        with replacing(own(before)) as temporary:
            temporary.write_bytes(PARAMS.read_bytes())
    with replacing(PARAMS) as temporary:
        temporary.write_bytes(text)
    chosen.unlink()
    incoming = INCOMING / case  # a dep of `ingest`, whether or not the case's rows arrive in files
    if not incoming.exists():
        incoming.mkdir(parents=True)
        (incoming / ".gitkeep").touch()
    back = "" if before is None else f"; those of {before} are in {own(before)}"
    return f"{PARAMS} is now that of {case}{back}; dvc repro runs it"


def own(case: str) -> Path:
    """Where the params of a case are while another one is current."""
    return CASES / case / PARAMS


def current() -> str | None:
    """The case whose params are at the root; None where there are none.

    Raises
    ------
    PerenneError
        If they name no case of the project: nobody could say where to put them.

    """
    if not PARAMS.exists():
        return None
    case = _case(PARAMS)
    if not isinstance(case, str) or not (CASES / case / "contract.yaml").is_file():
        raise PerenneError(f"{PARAMS}: case: found {case!r:.60}, must be the name of a folder in {CASES}")
    return case


def _case(path: Path) -> object:
    """The case that params name; None if they cannot be read or name none."""
    try:
        content = strict_yaml.load(path)
    except PerenneError:
        return None
    return content.get("case") if isinstance(content, dict) else None
