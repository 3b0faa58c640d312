"""The ledger of looks at holdouts, and of verdicts.

Each look at a holdout spends some of its evidence: of twenty equal models tried on the same rows, one seems
better. So every look is recorded *before* the models are compared, with the alpha that it spends. It is
recorded under each batch of the holdout, identified by a hash of its labels: holdouts that share a batch
share its noise, and a column more or less does not make another holdout. It is recorded under the case and
each period as well: of a batch that has lost or changed a row most of the noise is still the same. And one
note has all looks of the repository, each with a sketch of its labels: another name of the case, other
periods or other times do not make other labels (`perenne.gate.sketch`, which says what does).

Whoever opens a holdout sees all figures, and the line of that look closes its batches: nothing is left to
spend on them, for anybody.

What a fork says of its looks cannot be checked: its own code wrote it. So forks have an allowance of their
own, and nothing that they say takes from the repository's.

Looks are pushed as they are made, wherever there is a remote, so that clones share them. A ledger that was
cut back is noticed: each release names its commit, and each clone remembers the last one that it had. What a
release rests on is counted once more in the ledger as it is then: clones that did not push (`--offline`) have
all begun with the first look, and what they spent together may be more than there was. Nobody can count looks
that were never pushed, such as those of a copy that was thrown away.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Annotated, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ConfigDict, Field

from perenne.common import git, notes, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT
from perenne.common.typed import Model, parse
from perenne.documents.verdict import Asker, Intent, LabelSketch, ModelFile, PolicyRecord, Verdict
from perenne.gate import sketch
from perenne.registry.tags import Registry, Version
from perenne.stats import spending

FORKS = 0.1  # of alpha, on top: what the looks of all forks may spend; 1.1 alpha is spent in all, at most
MOST = 1_000_000  # looks at a batch
MOST_MODELS = 20  # as so many looks a family may count at most
ROUNDING = 1e-5  # of figures in documents
EVERYWHERE = ("looks", "all")  # the note with a line for each look

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ComparedModels(Model):
    """What is compared in a look: the models by sha256, and the policy that is applied.

    `view` is the hash of rows and contract: other features of the same labels are another question.
    `grouping` is what makes rows one block, where it was measured: other blocks give other bounds.
    `released` is the refitted model by sha256, which must be like the challenger on the labels.
    """

    case: str
    challenger: ModelFile
    intent: Intent
    policy: PolicyRecord
    against: tuple[str, ...]
    view: str | None = None
    grouping: str | None = None
    released: str | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        """Return what a verdict has compared."""
        return cls(
            case=verdict.case,
            challenger=verdict.challenger,
            intent=verdict.intent,
            policy=verdict.policy,
            against=verdict.against,
            view=verdict.holdout.view,
            grouping=verdict.holdout.grouping,
            released=verdict.released.sha256 if verdict.released else None,
        )

    def content(self) -> notes.Line:
        """Return the JSON by which a look is known."""
        content = self.model_dump(mode="json")
        # So that looks of earlier versions, which did not have these, are known again.
        for key in ("view", "grouping", "released"):
            if content[key] is None:
                del content[key]
        if not self.policy.tolerance:
            del content["policy"]["tolerance"]
        return content


class Family(NamedTuple):
    """Models that one look asks about, one after another: a name for all of them, and how many they are."""

    name: str
    models: int


class Look(NamedTuple):
    """The number of the look at these batches, the alpha it may spend, what is left after it, and of what.

    `opened` if a look, this one or an earlier one, has opened a batch.
    """

    number: int
    alpha: float
    left: float
    total: float
    opened: bool = False


def hashes(rows: pd.DataFrame, contract: Contract) -> dict[str, str]:
    """Return the hash of the labels of each batch of a holdout, by period.

    Only sorted times and outcomes are hashed: the order of the rows and other columns do not make another
    holdout, nor does the order of the contract's classes, or one more of them.

    Parameters
    ----------
    rows
        The holdout, with at least the contract's time and target.
    contract
        Names both, and the length of a period.

    Returns
    -------
    dict
        Period, such as `2020Q4`, -> sha256 in hexadecimal digits.

    """
    by_period = {}
    for period, places in rows.groupby(
        periods.of(rows[contract.time], contract.period, contract.zone)
    ).indices.items():
        times = rows[contract.time].to_numpy(dtype="datetime64[us]")[places].astype("<i8")
        outcomes = sketch.outcomes(rows[contract.target], contract)[places]
        order = np.lexsort((outcomes, times))
        by_period[str(period)] = _sha256(
            str(period).encode() + times[order].tobytes() + _bytes(outcomes[order])
        )
    return by_period


def _bytes(outcomes: npt.NDArray[np.generic]) -> bytes:
    return _json(outcomes.tolist()) if outcomes.dtype.kind == "U" else outcomes.tobytes()


def view(md5: str, contract: Contract) -> str:
    """Return the hash of what a look shows to the rules: the file of the rows, and how they are read."""
    content = contract.model_dump(mode="json", exclude={"read"})
    if not contract.derived:  # so that looks of earlier versions, which had none, are known again
        del content["derived"]
    return _sha256(_json([md5, content]))


def look(
    batches: Mapping[str, str],
    comparison: ComparedModels,
    alpha: float,
    *,
    sharing: bool,
    labels: LabelSketch | None = None,
    asker: Asker = "anyone",
    opening: bool = False,
    family: Family | None = None,
) -> Look:
    """Record a look at some batches, before the models are compared; return what it may spend.

    Repeating a look at the same batches is free and reuses its alpha: it shows nothing new. So a model that a
    fork has looked at is released at the alpha of that look, unless the repository has looked at it as well.

    Parameters
    ----------
    batches
        The hash of each batch by period, from `hashes`.
    comparison
        What is compared: equal for equal looks.
    alpha
        Of all the repository's looks at a batch together; those of forks have `FORKS` of it, on top.
    sharing
        Push the line as well. The remote accepts one line after another, so two clones never use the same
        number. Without it they may, and both lines count once they are merged.
    labels
        From `sketch.sketch`: looks at the same labels under other names count. None: only `batches` tells.
    asker
        Who looks. An `own` look ignores those of forks: else a fork could spend the alpha of a model before
        the repository looks at it.
    opening
        Close the batches: no look that comes later may spend any alpha.
    family
        What the look is a part of: all of the family are one look (`perenne.stats.spending`).

    Returns
    -------
    Look
        Its alpha is 0 if earlier looks had spent all of it, or have opened a batch.

    Raises
    ------
    PerenneError
        If an earlier line cannot be read, or the push fails.

    """
    content = comparison.content()
    name, holdout = _name(comparison), _sha256(_json(sorted(batches.values())))
    whole = [("batch", batch) for batch in batches.values()]
    alike = [("period", f"{comparison.case} {period}") for period in batches]

    def claim() -> Look:
        looks = {place: _looks(*place) for place in (*whole, *alike)}
        details = dict.fromkeys(looks, content)
        if labels:
            looks[EVERYWHERE] = _alike(labels, comparison.case)
            details[EVERYWHERE] = {"case": comparison.case, "sketch": labels.model_dump(mode="json")}
        everywhere = set.intersection(*(looks[place] for place in whole))
        # Earlier versions did not name the holdout. Of several lines the one with the least alpha counts.
        again = {
            line.fork: line
            for line in sorted(everywhere, key=lambda line: line.alpha, reverse=True)
            if line.look == name and line.holdout in (None, holdout)
        }
        mine = again.get(False) or (again.get(True) if asker != "own" else None)
        known = set.union(*looks.values())
        if mine:
            fork = mine.fork
        else:
            seen_by = {line.fork for line in known if line.look == name}
            fork = asker == "fork" or (asker == "anyone" and seen_by == {True})
        total = alpha * FORKS if fork else alpha
        if mine is None:
            part = _part(family, known)
            number = 1 + _counted(line for line in known if line.fork == fork and not line.of(part.family))
            spent = spending.alpha(number + part.depth - 1, total, _left(looks.values(), total, fork=fork))
            mine = part.model_copy(
                update={"look": name, "number": number, "alpha": spent, "fork": fork, "holdout": holdout}
            )
        if opening:
            mine = mine.model_copy(update={"opened": True})
        for place, lines in looks.items():
            if mine not in lines:
                notes.append(*place, mine.model_dump(exclude_defaults=True) | details[place])
                lines.add(mine)
        # Whatever a line says, it grants no more than a look of its number has.
        granted = min(mine.alpha, spending.alpha(mine.number + mine.depth - 1, total, total))
        opened = opening or any(line.opened for line in known)
        return Look(mine.number, granted, _left(looks.values(), total, fork=fork), total, opened)

    return notes.shared(claim, sharing=sharing)


def complete(registry: Registry) -> None:
    """Raise a `PerenneError` if the ledger lacks looks: those that a release rests on, or that were here.

    The tag of each registered version names the ledger's commit, and the ledger only grows.

    Parameters
    ----------
    registry
        The model's registry; tags of earlier versions of Perenne name no commit.

    """
    for version in registry.versions:
        commit = _ledger_of(version)
        if commit and not git.succeeds("merge-base", "--is-ancestor", commit, notes.REF):
            raise PerenneError(_repair(commit, version.tag))
    lost = notes.missing()
    if lost:
        raise PerenneError(
            f"{notes.REF}: lacks {lost}, which was here: looks at holdouts are lost; "
            f"git notes --ref={notes.REF} merge -s cat_sort_uniq {notes.KNOWN} brings them back"
        )


def affordable(verdict: Verdict) -> None:
    """Raise a `PerenneError` if the look of a verdict is not in the ledger, or its alpha is spent twice.

    Clones that do not push their looks all begin with the first one. In the merged ledger, those at one batch
    must not have spent more than there was: of two at once each has half of what was left, which is all of
    it, and no third one had anything.

    Parameters
    ----------
    verdict
        On a model that is to be released.

    """
    alike = [("period", f"{verdict.case} {period}") for period in verdict.holdout.batches]
    whole = [_looks("batch", batch) for batch in verdict.holdout.batches.values()]
    compared = ComparedModels.of(verdict)
    # Looks of earlier versions did not name the refitted model.
    names = {_name(compared), _name(compared.model_copy(update={"released": None}))}
    mine = [line for line in set.intersection(*whole) if line.look in names] if whole else []
    if not mine or verdict.alpha is None:
        raise PerenneError(
            f"{notes.REF}: has no look for the verdict on {verdict.challenger.sha256[:12]}; run perenne gate"
        )
    # Of a model that both have looked at, the repository's look counts.
    fork = all(line.fork for line in mine)
    total = verdict.alpha.total
    labels = verdict.holdout.sketch
    same = {line for line, its in _sketched() if labels and sketch.nearly_equal(labels, its.sketch)}
    for lines in (*whole, *(_looks(*place) for place in alike), same):
        spent = _spent(line for line in lines if line.fork == fork)
        if spent > total * (1 + ROUNDING):
            raise PerenneError(
                f"{HOLDOUT}: looks in clones that did not push them have spent {spent:.2g} of alpha "
                f"{total:g}, so none of them proves anything; move split.as_of"
            )


def _spent(lines: Iterable[_Line]) -> float:
    """The alpha that lines have spent. A look may have several: those of other clones, or one that opens."""
    looks = dict[tuple[str, str | None], float]()
    for line in lines:
        key = line.look, line.holdout
        looks[key] = max(line.alpha, looks.get(key, 0.0))
    return sum(looks.values())


def _repair(commit: str, tag: str) -> str:
    """What is wrong, and the commands that mend it: the second where the ledger was begun anew."""
    remote, ref = git.remote() or "origin", notes.REF
    push, merge = f"git push {remote}", f"git notes --ref={ref} merge -s cat_sort_uniq FETCH_HEAD"
    return (
        f"{ref}: lacks {commit}, which {tag} rests on: looks at holdouts are lost. In a clone that has it: "
        f"{push} {commit}:{ref}; if that is rejected: git fetch {remote} {ref} && {merge} && {push} {ref}; "
        f"if no clone has it, and so the tag is forged: git tag -d '{tag}' && {push} ':refs/tags/{tag}'"
    )


def _ledger_of(version: Version) -> str | None:
    """The ledger's commit by a version's tag; None for a tag that names none or cannot be read."""
    try:
        commit = version.proof.ledger if version.proof else None
    except PerenneError:
        return None
    return commit if commit and re.fullmatch(r"[0-9a-f]{40,64}", commit) else None


def record(verdict: Verdict, *, sharing: bool) -> None:
    """Record a verdict under the sha256 of its challenger.

    Parameters
    ----------
    verdict
        It becomes a line of the local notes.
    sharing
        Push the line as well.

    Raises
    ------
    PerenneError
        If the push fails.

    """
    line = verdict.to_json()
    notes.shared(lambda: notes.append("model", verdict.challenger.sha256, line), sharing=sharing)


def verdicts(sha256: str) -> list[Verdict]:
    """Return the verdicts on a model, in no order.

    Parameters
    ----------
    sha256
        That of the model file.

    Raises
    ------
    PerenneError
        If a verdict cannot be read.

    """
    read = []
    for line in notes.read("model", sha256):
        with notes.mending("model", sha256):
            verdict = Verdict.from_json(line, "a verdict")
            if verdict.challenger.sha256 != sha256:
                raise PerenneError(f"a verdict on another model, {verdict.challenger.sha256[:12]!r}")
            read.append(verdict)
    return read


class _Line(Model):
    """A look as a note holds it, beside what was compared. Whoever may push notes may have written it.

    `look` is the hash of what was compared, `holdout` that of the batches; `fork` says whose allowance it
    spends; `opened` that all figures were shown. `family` is the hash of what the look is a part of, and
    `depth` as how many looks all of that counts.
    """

    model_config = ConfigDict(extra="ignore")

    look: Sha256
    number: int = Field(ge=1, le=MOST)
    alpha: float = Field(ge=0, lt=1)
    fork: bool = False
    holdout: Sha256 | None = None
    opened: bool = False
    family: Sha256 | None = None
    depth: int = Field(default=1, ge=1, le=MOST_MODELS)

    def of(self, family: str | None) -> bool:
        """Whether it is a part of a family."""
        return family is not None and self.family == family


class _SketchedLine(Model):
    """What the line of a look at a holdout holds besides, in the note that has all of them."""

    model_config = ConfigDict(extra="ignore")

    case: str
    sketch: LabelSketch


def _part(family: Family | None, known: Collection[_Line]) -> _Line:
    """A line with its family; without one if that has as many looks as it may have."""
    plain = _Line(look="0" * 64, number=1, alpha=0)
    if family is None:
        return plain
    part = plain.model_copy(
        update={"family": _sha256(family.name.encode()), "depth": spending.depth(family.models)}
    )
    return part if sum(line.of(part.family) for line in known) < family.models else plain


def _counted(lines: Iterable[_Line]) -> int:
    """How many looks some lines are: all of a family count once."""
    alone, families = 0, dict[str, int]()
    for line in lines:
        if line.family is None:
            alone += line.depth
        else:
            families[line.family] = max(line.depth, families.get(line.family, 0))
    return alone + sum(families.values())


def _looks(kind: str, name: str) -> set[_Line]:
    lines = set()
    for line in notes.read(kind, name):
        with notes.mending(kind, name):
            lines.add(parse(_Line, line, "a look"))
    return lines


def _alike(labels: LabelSketch, case: str) -> set[_Line]:
    """The looks at the same labels, under whatever name."""
    return {line for line, its in _sketched() if sketch.alike(labels, its.sketch, same_case=its.case == case)}


def _sketched() -> Iterator[tuple[_Line, _SketchedLine]]:
    """All looks of the repository, but for those of versions that made no sketch."""
    for line in notes.read(*EVERYWHERE):
        with notes.mending(*EVERYWHERE):
            found = parse(_Line, line, "a look"), parse(_SketchedLine, line, "a look")
        yield found


def _left(looks: Collection[set[_Line]], total: float, *, fork: bool) -> float:
    """The alpha that is left of the batch or period with the most spent; none if one was opened."""
    if any(line.opened for lines in looks for line in lines):
        return 0.0
    spent = [sum(line.alpha for line in lines if line.fork == fork) for lines in looks]
    return max(total - max(spent), 0.0)


def _name(comparison: ComparedModels) -> str:
    """What a look is known by."""
    return _sha256(_json(comparison.content()))


def _json(content: object) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
