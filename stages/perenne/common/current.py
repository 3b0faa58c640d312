"""The current case: the one whose params are at the root."""

from __future__ import annotations

from pathlib import Path

from perenne.common import git, strict_yaml
from perenne.common.disk import replacing
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CASES, INCOMING, PARAMS


def use(case: str, *, force: bool = False) -> str:
    """Copy a case's params to the root, comments included.

    The case that the last commit uses is restored as it was committed, tuned params included: switching to
    another case and back leaves no Git diff. Params that are kept nowhere else are not overwritten.

    Parameters
    ----------
    case
        The name of its folder under data/cases.
    force
        Overwrite params that are kept nowhere else.

    Returns
    -------
    str
        A sentence that says which params are now at the root.

    Raises
    ------
    PerenneError
        If there is no such case, its params name another one, or params would be lost.

    """
    starting = {p.parent.name: p.read_bytes() for p in CASES.glob("*/params.yaml")}
    if not starting:
        raise PerenneError(f"{CASES}: no case in {Path.cwd()}; run this in the project's own folder")
    if case not in starting:
        raise PerenneError(f"{CASES}: no case {case!r}; {hint(case, starting)}")
    committed = _committed()
    now = PARAMS.read_bytes() if PARAMS.exists() else None
    if not force and _plain(now) not in map(_plain, (None, committed, *starting.values())):
        raise PerenneError(
            f"{PARAMS}: its changes are in no commit and would be lost; commit them, or use --force"
        )
    text, source = starting[case], str(CASES / case / "params.yaml")
    if committed is not None and _case(committed) == case:
        text, source = committed, "the last commit"
    if _case(text) != case:
        raise PerenneError(f"{source}: case: found {_case(text)!r}, must be {case!r}, the name of its folder")
    with replacing(PARAMS) as temporary:
        temporary.write_bytes(text)
    incoming = INCOMING / case  # a dep of `ingest`, whether or not the case's rows arrive in files
    if not incoming.exists():
        incoming.mkdir(parents=True)
        (incoming / ".gitkeep").touch()
    return f"{PARAMS} is now that of {case}, from {source}; dvc repro runs it"


def _plain(text: bytes | None) -> bytes | None:
    """The text with the line ends that Git stores: others are no change."""
    return text and text.replace(b"\r\n", b"\n")


def _case(text: bytes) -> object:
    """The case that params name; None if they cannot be read or name none."""
    try:
        content = strict_yaml.loads(text.decode("utf-8"))
    except (PerenneError, UnicodeDecodeError):
        return None
    return content.get("case") if isinstance(content, dict) else None


def _committed() -> bytes | None:
    """The params of the last commit, None where there is none."""
    try:
        return git.show("HEAD", PARAMS)
    except PerenneError:
        return None
