"""Where a project is, on one screen: data, pipeline, model, prod, and the step that comes next."""

from __future__ import annotations

import hashlib
import os
import sys
from datetime import datetime
from pathlib import Path

from perenne.common import batches, git, sections, strict_json
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN, DRIFT, DRIFT_PAGE, EVALUATION, LOCK, MODEL, PARAMS, PROD
from perenne.documents.drift import DriftAdvice, DriftReport
from perenne.documents.evaluation import Evaluation
from perenne.documents.overview import (
    ArrivedData,
    BuiltModel,
    NextStep,
    ProjectStatus,
    ServedVersion,
    WorkingTree,
)
from perenne.documents.verdict import Verdict
from perenne.gate import ledger
from perenne.pages.text import number
from perenne.registry import reproduce, tags
from perenne.registry.models import MAIN, age
from perenne.registry.tags import Version

SHORT = 7  # digits of a commit
SHOWN = (*MAIN, "observed_expected")  # of the metrics


def status() -> ProjectStatus:
    """Where the project in this folder is.

    Raises
    ------
    PerenneError
        If params or the contract are wrong, this is no Git repository, or a report or a note cannot be read.

    """
    p = sections.params()
    contract = sections.contract_of(p.case)
    if not git.succeeds("rev-parse", "--verify", "--quiet", "HEAD"):
        raise PerenneError(
            f"{Path.cwd()}: no Git repository with a commit; git init, git add -A and git commit make one"
        )
    tree = WorkingTree(
        commit=git.commit("HEAD"),
        branch=git.git("branch", "--show-current") or None,
        changed=len(git.changes()),
    )
    waiting = _waiting()
    version = tags.read(p.case).in_stage(PROD)
    model = _model(p.split.as_of, None if version is None else version.version)
    prod = None if version is None else _served(version, model)
    drift = DriftReport.load(DRIFT).advice if DRIFT.exists() else None
    return ProjectStatus(
        case=p.case,
        data=_data(contract),
        tree=tree,
        waiting=waiting,
        model=model,
        prod=prod,
        drift=drift,
        next=following(tree, waiting, model, prod, drift),
    )


def following(
    tree: WorkingTree,
    waiting: tuple[str, ...],
    model: BuiltModel | None,
    prod: ServedVersion | None,
    drift: DriftAdvice | None,
) -> NextStep:
    """The step that comes next: run, commit, then prove and release, then watch."""
    if waiting or model is None:
        first = f"what {waiting[0]} reads or writes has changed" if waiting else "there is no model yet"
        return NextStep(why=first, command="dvc repro")
    if tree.changed:
        why = f"{_differing(tree)} from the commit; the gate judges commits"
        return NextStep(why=why, command="git add -A && git commit")
    if prod is not None and prod.here:
        return _watched(prod, drift)
    match model.answer:
        case None:
            beside = "nothing is released" if prod is None else f"{prod.version} in {PROD} is another model"
            why = f"{beside}, and the gate has not judged this one"
            return NextStep(why=why, command="perenne gate")
        case "eligible":
            return NextStep(why="the gate finds this model eligible", command="perenne release")
        case "undecided" if model.more_blocks:
            more = f"{model.more_blocks:,.0f} more blocks with labels may decide"
            return NextStep(why=f"the gate is undecided: {more}; then move `split.as_of` in {PARAMS}")
        case answer:
            return NextStep(why=f"the gate says {answer}: {model.why}; another experiment is needed")


def text(status: ProjectStatus, now: datetime) -> str:
    """The status in lines of two columns; `now` has a time zone."""
    tree, data, model = status.tree, status.data, status.model
    differ = f", {_differing(tree)}" if tree.changed else ""
    lines = {
        "case": status.case,
        "data": f"{data.batches} batches, {data.first} to {data.last}" if data else "none yet",
        "commit": f"{tree.commit[:SHORT]} on {tree.branch or 'no branch'}{differ}",
        "pipeline": f"to be run: {', '.join(status.waiting)}" if status.waiting else "up to date",
        "model": _told(model) if model else "none yet",
        "gate": _judged(model),
        "prod": _in_prod(status.prod, now) if status.prod else "no version is released",
        "drift": f"{status.drift.level}: {'; '.join(status.drift.reasons)}" if status.drift else "not known",
        "next": status.next.why,
    }
    width = max(map(len, lines)) + 2
    shown = [f"{name:{width}}{value}" for name, value in lines.items()]
    command = status.next.command
    return "\n".join([*shown, *([f"{'':{width}}{command}"] if command else [])])


def _differing(tree: WorkingTree) -> str:
    return "1 file differs" if tree.changed == 1 else f"{tree.changed} files differ"


def _watched(prod: ServedVersion, drift: DriftAdvice | None) -> NextStep:
    """What comes after a release: nothing, as long as no drift is seen."""
    if drift is None or drift.level == "none":
        known = "whether it is still right is not known" if drift is None else "no drift is seen"
        return NextStep(
            why=f"{prod.version} is in {PROD}, and {known}; when new batches arrive: perenne monitor"
        )
    if drift.level == "look":
        return NextStep(why=f"the data have moved; {DRIFT_PAGE} shows how")
    return NextStep(why=f"{prod.version} is no longer right", command="perenne retrain")


def _waiting() -> tuple[str, ...]:
    """The stages that `dvc repro` would run first, as `dvc status` lists them; the first if none has run."""
    if not LOCK.exists():
        return ("ingest",)
    try:
        said = reproduce.quiet([sys.executable, "-m", "dvc", "status", "--json"], Path(), dict(os.environ))
    except PerenneError as error:
        raise PerenneError(f"dvc status: {str(error).removeprefix(f'{sys.executable}: ')}") from error
    found = strict_json.loads(said, "dvc status")
    if not isinstance(found, dict):
        raise PerenneError(f"dvc status: expected stages by name, found {found!r:.60}")
    return tuple(found)


def _data(contract: Contract) -> ArrivedData | None:
    if not any(CLEAN.glob("*.parquet")):
        return None
    arrived = batches.listed(CLEAN, contract)
    return ArrivedData(batches=len(arrived), first=str(min(arrived)), last=str(max(arrived)))


def _model(as_of: str, champion: str | None) -> BuiltModel | None:
    """The model here, and what the gate said of it beside the version in prod; None if none is made."""
    if not MODEL.exists() or not EVALUATION.exists():
        return None
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    metrics = {name: each.value for name, each in Evaluation.load(EVALUATION).validation.metrics.items()}
    said = [verdict for verdict in ledger.verdicts(sha256) if verdict.champion == champion]
    if not said:
        return BuiltModel(sha256=sha256, as_of=as_of, metrics=metrics)
    verdict = max(said, key=_rank)
    return BuiltModel(
        sha256=sha256,
        as_of=as_of,
        metrics=metrics,
        answer=verdict.answer,
        why=verdict.why,
        more_blocks=verdict.more_blocks or None,
    )


def _rank(verdict: Verdict) -> tuple[int, str]:
    """Of several verdicts on a model the most favourable counts, as for `perenne release`."""
    order = ("could not judge", "rejected", "undecided", "unchanged", "eligible")
    return (order.index(verdict.answer) if verdict.answer in order else -1), verdict.why


def _served(version: Version, model: BuiltModel | None) -> ServedVersion:
    proof = version.proof
    return ServedVersion(
        version=version.version,
        commit=version.commit,
        released=version.at.isoformat(),
        as_of=proof.as_of if proof else None,
        here=bool(proof and model and proof.model.sha256 == model.sha256),
    )


def _told(model: BuiltModel) -> str:
    few = [f"{name} {number(model.metrics[name])}" for name in SHOWN if name in model.metrics]
    return f"as_of {model.as_of}; on validation {', '.join(few)}"


def _judged(model: BuiltModel | None) -> str:
    if model is None or model.answer is None:
        return "not asked about this model"
    return f"{model.answer}: {model.why}" if model.why else model.answer


def _in_prod(prod: ServedVersion, now: datetime) -> str:
    since = age(now - datetime.fromisoformat(prod.released))
    return f"{prod.version} for {since}, as_of {prod.as_of or '-'}{', this model' if prod.here else ''}"
