"""Release: a version tag with its proof, and a stage tag that puts the version to use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from perenne.common import batches, git, locked, names, notes, sections
from perenne.common.cut import Cut
from perenne.common.disk import canonical
from perenne.common.errors import PerenneError
from perenne.common.names import DEGRADED, PROD, REQUIREMENTS, SPLIT
from perenne.common.params import Params
from perenne.common.sections import contract_of
from perenne.documents.evaluation import Evaluation
from perenne.documents.proof import (
    Proof,
    ProvenChange,
    ProvenMetric,
    ProvenModel,
    ProvenVerdict,
    ReleasedModel,
)
from perenne.documents.split import SplitReport
from perenne.documents.verdict import ModelFile, PolicyRecord, Verdict
from perenne.gate import contenders, ledger, policy, refitted
from perenne.pages.text import bounds, number
from perenne.registry import golden, grammar, publish, storage, tags, workspace
from perenne.registry.change import Change, between
from perenne.registry.publish import Tag
from perenne.registry.tags import Registry, Version

FIRST = "v1.0.0"

Trial = Callable[[Version], str]  # tests a version in the real server; returns a line, or raises


class Models(NamedTuple):
    """The sha256 of the model that is proven, and of the one that a release puts to use: often the same."""

    proven: str
    released: str


class Needed(NamedTuple):
    """What a verdict must have for a release, in the order in which it is checked."""

    case: str
    holdout: str
    released: str
    champion: str | None
    policy: PolicyRecord
    answer: str


def release(
    *, stage: str, policy_from: str | None, push: bool, dry_run: bool, trial: Trial | None = None
) -> str:
    """Tag the model of this commit as a version and assign it to a stage; return what was done.

    Only an eligible model is released: on this holdout, against the current champion. The data are in the
    remote before there is a tag, and no tag is pushed before the trial is passed.

    Parameters
    ----------
    stage
        Where the version is put to use.
    policy_from
        The commit whose policy the verdict must follow; None: this commit.
    push
        Push data, notes and tags.
    dry_run
        Return the tags, and make none.
    trial
        Tests the version before it is in the stage; None: no test.

    Returns
    -------
    str
        The line of the trial, if there is one, and a line with the names of the tags. With `dry_run` the
        whole tags. For a model that is a version in use already, where it is: no tag is made then.

    Raises
    ------
    PerenneError
        If files are not committed, results are stale, no verdict allows it, the trial fails, or somebody else
        has released meanwhile.

    """
    changed = git.changes()
    if changed:
        raise PerenneError(
            f"{changed[0]}: not committed ({len(changed)} file(s) in all); only a commit is released"
        )
    workspace.reproduced()
    tags.fetch()
    notes.fetch()
    p = sections.params()
    registry = tags.read(p.case)
    ledger.complete(registry)
    models = Models(_sha256(names.MODEL), _sha256(locked.load().released))
    known = next((version for version in registry.versions if models_of(version) == models), None)
    if known and known.commit in registry.assigned:
        return _again(known, registry, push=push and not dry_run)
    verdict = eligible(models, registry, p.case, policy_from)
    if known:  # a release that was interrupted during its trial
        new = [publish.assigned(registry, stage, known.commit, "released")]
    else:
        new = [*proposed(registry, verdict, p, stage)]
    made, created = known.tag if known else new[0].name, ", ".join(tag.name for tag in new)
    if stage == PROD:  # the degraded version is replaced
        new += publish.unassigned(registry, DEGRADED, f"{made} is in {PROD}")
    if dry_run:
        return "\n".join(f"would create {tag.name} at {tag.commit[:7]}:\n{tag.message}" for tag in new)
    if push:
        _share(p.case)
    lines: list[str] = []

    def attempt() -> None:
        if trial:
            lines.append(trial(tags.read(p.case).find(made)))

    publish.publish(new, push=push, attempt=attempt)
    return "\n".join(
        [*lines, f"released {created}" + ("" if push else "; perenne release --push shares them")]
    )


def eligible(models: Models, registry: Registry, case: str, policy_from: str | None) -> Verdict:
    """Return the verdict that allows a release.

    Parameters
    ----------
    models
        Those of the working tree.
    registry
        The model's registry: the verdict must be against the version in prod.
    case
        The case that is released.
    policy_from
        The commit whose policy the verdict must follow; None: the working tree.

    Raises
    ------
    PerenneError
        If no known verdict allows it (the message says what they lack), its look is not in the ledger or
        cannot be afforded, or the policy cannot be read.

    """
    champion = registry.in_stage(PROD)
    needed = Needed(
        case=case,
        holdout=locked.load().out(names.HOLDOUT).md5,
        released=models.released,
        champion=champion.version if champion else None,
        policy=policy.load(policy_from, contract_of(case).task).record(),
        answer="eligible",
    )
    verdicts = ledger.verdicts(models.proven)
    if not verdicts:
        raise PerenneError(f"{names.MODEL}: no verdict on this model; run perenne gate")
    for place, key in enumerate(Needed._fields):
        fitting = [verdict for verdict in verdicts if _given(verdict)[place] == needed[place]]
        if not fitting:
            raise PerenneError(_lacking(key, needed, verdicts[-1]))
        verdicts = fitting
    ledger.affordable(verdicts[-1])
    return verdicts[-1]


def proposed(registry: Registry, verdict: Verdict, p: Params, stage: str) -> tuple[Tag, Tag]:
    """Return the two tags of a release: the version, whose message ends in its proof, and the stage.

    Parameters
    ----------
    registry
        The model's registry. It gives the version: the one after the highest that was ever registered, or
        `FIRST`.
    verdict
        From `eligible`.
    p
        All of params.yaml.
    stage
        Where the version is put to use.

    Returns
    -------
    tuple of Tag
        Of the commit that is checked out. They do not exist yet: `publish` makes them.

    Raises
    ------
    PerenneError
        If the evaluation cannot be read, or the golden rows cannot be scored.

    """
    head = git.commit("HEAD")
    before = registry.versions[0] if registry.versions else None
    change = _change(verdict, before, p.case)
    version = following(registry, change)
    measured = _validated()
    metric = measured.get(verdict.policy.metric, ProvenMetric())
    interval = f"{number(metric.value)} {bounds(metric.low, metric.high)}".strip()
    against = f"{verdict.intent} than {verdict.champion}" if verdict.champion else "the first"
    subject = f"{registry.name} {version}: {verdict.policy.metric} {interval} in validation, {against}"
    reasons = "\n".join(f"- {reason}" for reason in change.reasons)
    message = (
        f"{subject}\n\n{change.kind}:\n{reasons}\n\n---\n{_proof(verdict, change, p, measured).to_yaml()}"
    )
    return (
        Tag(f"{registry.name}@{version}", head, message),
        Tag(
            f"{registry.name}#{stage}#{next(registry.counters())}",
            head,
            f"{version} to {stage}\n\nreleased\n",
        ),
    )


def _change(verdict: Verdict, before: Version | None, case: str) -> Change:
    """What changed since the version before: as it was judged, if it was judged against that one."""
    if before is None:
        return Change("major", ("the first release",))
    judged = verdict.change
    if judged and verdict.champion == before.version:
        return Change(judged.kind, judged.reasons)
    return between(before.commit, None, case, branch=verdict.policy_from or "HEAD")


def following(registry: Registry, change: Change) -> str:
    """Return the version after the highest that was ever registered; no tag has its name."""
    # Deregistered versions as well: a number is never used twice.
    known = [v for v in registry.registered if max(grammar.precedence(v)[0]) < grammar.ROOM]
    version = bumped(max(known, key=grammar.precedence), change) if known else FIRST
    while registry.is_taken(version):
        version = bumped(version, change)
    return version


def bumped(version: str, change: Change) -> str:
    """Return the version after another.

    >>> [bumped("v1.2.3", Change(kind, ())) for kind in ("major", "minor", "patch")]
    ['v2.0.0', 'v1.3.0', 'v1.2.4']
    """
    major, minor, patch = grammar.precedence(version)[0]
    match change.kind:
        case "major":
            return f"v{major + 1}.0.0"
        case "minor":
            return f"v{major}.{minor + 1}.0"
        case "patch":
            return f"v{major}.{minor}.{patch + 1}"


def models_of(version: Version) -> Models | None:
    """Return the models of a version; None for a tag without a proof that can be read."""
    try:
        return Models(version.proven.sha256, version.released.sha256)
    except PerenneError:
        return None


def _again(known: Version, registry: Registry, *, push: bool) -> str:
    """What to do for a model that is a version already: `push` pushes what is not in the remote yet."""
    stages = registry.stages(known)
    if push:
        _share(registry.name)
        publish.push(registry.name)
    where = f"in {', '.join(stages)}" if stages else "in no stage; perenne rollback puts it there"
    return f"{known.tag} is this model already, {where}"


def _share(name: str) -> None:
    """Push what the tags that follow name: data, verdicts and looks."""
    storage.push(*(event.commit for event in publish.waiting(name) if event.kind == "register"))
    notes.share()


def _given(verdict: Verdict) -> Needed:
    """What a verdict has of what a release needs."""
    released = (verdict.released or verdict.challenger).sha256
    return Needed(
        verdict.case, verdict.holdout.md5, released, verdict.champion, verdict.policy, verdict.answer
    )


def _lacking(key: str, needed: Needed, verdict: Verdict) -> str:
    where = f"{names.MODEL}: its verdict"
    again = "run perenne gate"
    match key:
        case "answer":
            return f"{where} is {verdict.answer}: {verdict.why}"
        case "policy":
            return f"{where} follows another policy than params.yaml; {again}"
        case "champion":
            was, now = (champion or "nothing" for champion in (verdict.champion, needed.champion))
            return f"{where} compares it with {was}, but {now} is in {PROD} now; {again}"
        case "released":
            return f"{where} is for another refitted model, {locked.load().released}; {again}"
        case _:
            return f"{where} is for another {key}; {again}"


def _validated() -> dict[str, ProvenMetric]:
    """The metrics of validation: those of the holdout are sealed. None if the project has no such stage."""
    if not names.EVALUATION.is_file():
        return {}
    metrics = Evaluation.load(names.EVALUATION).validation.metrics
    return {
        name: ProvenMetric(value=metric.value, low=metric.low, high=metric.high)
        for name, metric in metrics.items()
    }


def _proof(verdict: Verdict, change: Change, p: Params, measured: dict[str, ProvenMetric]) -> Proof:
    """What the release rests on."""
    return Proof(
        model=ProvenModel(sha256=verdict.challenger.sha256, size=verdict.challenger.size),
        released=_refitted(verdict.released, p.case) if verdict.released else None,
        lock={str(path): _sha256(path) for path in (names.LOCK, REQUIREMENTS)},
        as_of=str(Cut.rule(p.split, contract_of(p.case)).as_of),
        batches=json.loads(SPLIT.read_text(encoding="utf-8")),
        champion=verdict.champion,
        change=ProvenChange(kind=change.kind, reasons=change.reasons),
        intent=verdict.intent,
        metrics=measured,
        measured_on="validation",
        golden=golden.record(p.case),
        verdict=ProvenVerdict.of(verdict),
        ledger=notes.commit(),
    )


def _refitted(file: ModelFile, case: str) -> ReleasedModel:
    """What the proof says of a model that is not the one that was proven."""
    contract = contract_of(case)
    rows = batches.read_parquet(names.HOLDOUT)
    proven, other = (
        contenders.scores(loaded, rows) for loaded in (contenders.here(contract), refitted.here(contract))
    )
    learned = SplitReport.load(SPLIT).refit
    return ReleasedModel(
        sha256=file.sha256,
        size=file.size,
        first=learned.first if learned else None,
        last=learned.last if learned else None,
        moved=canonical(float(np.abs(other - proven).mean())),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
