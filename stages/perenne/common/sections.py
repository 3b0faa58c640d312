"""params.yaml of a commit or of the working tree, for what runs outside the DAG: whole, or one section."""

from __future__ import annotations

from typing import Any, TypeVar

from perenne.common import git, strict_yaml
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import CASES, PARAMS
from perenne.common.params import Params, read_params
from perenne.common.typed import Model, parse

Section = TypeVar("Section", bound=Model)


def title(rev: str | None) -> str:
    """What an error calls params.yaml of a commit, or of the working tree (None)."""
    return str(PARAMS) if rev is None else f"{PARAMS} of {rev}"


def tree(rev: str | None = None) -> dict[str, Any]:
    """All of params.yaml as YAML has it, unchecked.

    Parameters
    ----------
    rev
        A commit, or the working tree (None).

    Raises
    ------
    PerenneError
        If the commit has no such file, or the file is not a YAML mapping.

    """
    if rev is None:
        content = strict_yaml.load(PARAMS)
    else:
        content = strict_yaml.loads(git.text(rev, PARAMS), title(rev))
    if not isinstance(content, dict):
        raise PerenneError(f"{title(rev)}: expected a mapping, found {content!r:.60}")
    return content


def params(rev: str | None = None) -> Params:
    """All of params.yaml, checked.

    Parameters
    ----------
    rev
        A commit, or the working tree (None).

    Raises
    ------
    PerenneError
        Names the file, the key, the value and what would be accepted.

    """
    return read_params() if rev is None else parse(Params, tree(rev), title(rev))


def case(rev: str | None = None) -> str:
    """The current case.

    Parameters
    ----------
    rev
        A commit, or the working tree (None).

    Raises
    ------
    PerenneError
        As `tree`, or if it names no case.

    """
    name = tree(rev).get("case")
    if not isinstance(name, str):
        raise PerenneError(f"{title(rev)}: case: found {name!r:.60}, must be the name of a folder in {CASES}")
    return name


def section(name: str, model: type[Section], rev: str | None = None, **changes: object) -> Section:
    """One section of params.yaml; one that is missing or empty takes the defaults of its model.

    Parameters
    ----------
    name
        The key in params.yaml.
    model
        What the section must be.
    rev
        A commit, or the working tree (None).
    changes
        Values on top of the file's, by key; None leaves the file's value.

    Raises
    ------
    PerenneError
        Names the file, the key, the value and what would be accepted.

    """
    content = tree(rev).get(name) or {}
    if not isinstance(content, dict):
        raise PerenneError(f"{title(rev)}: {name}: expected a mapping, found {content!r:.60}")
    given = {key: value for key, value in changes.items() if value is not None}
    return parse(model, content | given, title(rev), prefix=name)


def contract_of(case: str, rev: str | None = None) -> Contract:
    """The contract of a case in a commit, or in the working tree (None).

    Raises
    ------
    PerenneError
        If there is no such contract, or something is wrong in it; it names the file and the key.

    """
    if rev is None:
        return read_contract(case)
    path = CASES / case / "contract.yaml"
    name = f"{path} of {rev}"
    return parse(Contract, strict_yaml.loads(git.text(rev, path), name), name)


def cut_of(contract: Contract, rev: str | None = None) -> Cut:
    """Where history is cut by the params of a commit, or of the working tree (None).

    Raises
    ------
    PerenneError
        As `params`; also if `split.as_of` is not a period of the contract.

    """
    return Cut.of(params(rev).split, contract, title(rev))


def released_cut_of(contract: Contract, rev: str | None = None) -> Cut:
    """As `cut_of`, of the model that a release of that commit puts to use."""
    return Cut.released(params(rev).split, contract, title(rev))
