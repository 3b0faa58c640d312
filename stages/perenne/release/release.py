"""Release: a version tag that holds its proof, and the stage tag that says where the version is in use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from perenne.common import git, locked, names, notes, sections, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import DEGRADED, PROD, REQUIREMENTS, SPLIT
from perenne.common.params import Params
from perenne.common.sections import contract_of
from perenne.gate import ledger, policy
from perenne.registry import golden, grammar, publish, storage, tags, workspace
from perenne.registry.change import Change, between
from perenne.registry.publish import Tag
from perenne.registry.tags import Registry, Version

SCHEMA = 1
FIRST = "v1.0.0"

Trial = Callable[[Version], str]  # tries a version in the real server; says how it was, or raises


def release(
    *, stage: str, policy_from: str | None, push: bool, dry_run: bool, trial: Trial | None = None
) -> str:
    """Tag the model of this commit as a version and assign it to a stage; return what was done.

    Only a model that the gate found eligible: on this holdout, against the champion of today, by the policy
    of `policy_from` (None: of this commit). What the tag speaks of is in the remote before there is a tag,
    and where there is a `trial`, nobody else sees a tag before it is passed.

    Raises
    ------
    PerenneError
        If the tree is not the commit's, its results are stale, no such verdict is known, the trial fails, or
        somebody else released meanwhile.

    """
    changed = git.changes()
    if changed:
        raise PerenneError(
            f"{changed[0]}: in no commit, as {len(changed)} file(s) are; only a commit is released"
        )
    workspace.reproduced()
    tags.fetch()
    notes.fetch()
    p = sections.params()
    registry = tags.read(p.case)
    sha256 = hashlib.sha256(names.MODEL.read_bytes()).hexdigest()
    known = next((version for version in registry.versions if model_of(version) == sha256), None)
    if known and known.commit in registry.assigned:
        return _again(known, registry, push=push and not dry_run)
    verdict = eligible(sha256, registry, p.case, policy_from)
    if known:  # a release that ended in the middle of its trial
        new = [publish.assigned(registry, stage, known.commit, "released")]
    else:
        new = [*proposed(registry, verdict, p, stage)]
    made, created = known.tag if known else new[0].name, ", ".join(tag.name for tag in new)
    if stage == PROD:  # whoever was too stale to be retrained is so no longer: another one is in use
        new += publish.unassigned(registry, DEGRADED, f"{made} is in {PROD}")
    if dry_run:
        return "\n".join(f"would create {tag.name} at {tag.commit[:7]}:\n{tag.message}" for tag in new)
    if push:
        _share(p.case)
    told: list[str] = []

    def attempt() -> None:
        if trial:
            told.append(trial(tags.read(p.case).find(made)))

    publish.publish(new, push=push, attempt=attempt)
    return "\n".join(
        [*told, f"released {created}" + ("" if push else "; perenne release --push shares them")]
    )


def eligible(sha256: str, registry: Registry, case: str, policy_from: str | None) -> dict[str, Any]:
    """The verdict that lets a model be released; a `PerenneError` says what the ones there are lack."""
    champion = registry.in_stage(PROD)
    needed = {
        "case": case,
        "holdout": locked.load().out(names.HOLDOUT).md5,
        "champion": champion.version if champion else None,
        "policy": policy.load(policy_from, contract_of(case).task).model_dump(mode="json", exclude_none=True),
        "answer": "eligible",
    }
    found = ledger.verdicts(sha256)
    if not found:
        raise PerenneError(f"{names.MODEL}: no verdict on this model; run perenne gate")
    for key, value in needed.items():
        left = [verdict for verdict in found if _seen(verdict)[key] == value]
        if not left:
            was = _seen(found[-1])[key]
            raise PerenneError(_lacking(key, value, was, found[-1]))
        found = left
    return found[-1]


def proposed(registry: Registry, verdict: dict[str, Any], p: Params, stage: str) -> tuple[Tag, Tag]:
    """The two tags of a release: the version, whose message ends in its proof, and the stage."""
    head = git.commit("HEAD")
    before = registry.versions[0] if registry.versions else None
    change = between(before.commit, None, p.case) if before else Change("major", ("the first release",))
    # Also those that were deregistered: a number once given stays given.
    highest = max(registry.registered, key=grammar.precedence, default=None)
    version = bumped(highest, change) if highest else FIRST
    metric = verdict["policy"]["metric"]
    found = "{value:.4g} [{low:.4g}, {high:.4g}]".format(**verdict["metrics"][metric])
    against = f"{verdict['intent']} than {verdict['champion']}" if verdict["champion"] else "the first"
    subject = f"{registry.name} {version}: {metric} {found}, {against}"
    reasons = "\n".join(f"- {reason}" for reason in change.reasons)
    message = f"{subject}\n\n{change.kind}:\n{reasons}\n\n---\n{as_yaml(_proof(verdict, change, p))}"
    return (
        Tag(f"{registry.name}@{version}", head, message),
        Tag(f"{registry.name}#{stage}#{registry.next_counter}", head, f"{version} to {stage}\n\nreleased\n"),
    )


def bumped(version: str, change: Change) -> str:
    """The version after another.

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


class _Dumper(yaml.SafeDumper):
    """Puts in quotes what `strict_yaml` would else read as something else: a hash may look like a number."""

    yaml_implicit_resolvers = strict_yaml.Loader.yaml_implicit_resolvers


def as_yaml(value: dict[str, Any]) -> str:
    """A value as YAML that `strict_yaml` reads as the same value.

    >>> print(as_yaml({"sha256": "12e34", "as_of": "2013-03-01", "margin": 1e-05}), end="")
    sha256: '12e34'
    as_of: 2013-03-01
    margin: 1.0e-05
    """
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def model_of(version: Version) -> str | None:
    """The sha256 of a version's model file; None for a tag without proof."""
    return str(version.proof["model"]["sha256"]) if version.proof else None


def _again(known: Version, registry: Registry, *, push: bool) -> str:
    """Released twice is one version; what is not yet on the remote goes there."""
    stages = registry.stages(known)
    if push:
        _share(registry.name)
        publish.push(registry.name)
    where = f"in {', '.join(stages)}" if stages else "in no stage; perenne rollback puts it there"
    return f"{known.tag} is this model already, {where}"


def _share(name: str) -> None:
    """Bring to the remotes what the tags that follow speak of: data, verdicts and looks."""
    storage.push(*(event.commit for event in publish.waiting(name) if event.kind == "register"))
    notes.share()


def _seen(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict's own answers to what a release needs."""
    return {key: verdict[key] for key in ("case", "champion", "policy", "answer")} | {
        "holdout": verdict["holdout"]["md5"]
    }


def _lacking(key: str, needed: Any, was: Any, verdict: dict[str, Any]) -> str:
    where = f"{names.MODEL}: its verdict"
    again = "run perenne gate"
    match key:
        case "answer":
            return f"{where} is {was}: {verdict['why']}"
        case "policy":
            return f"{where} follows another policy than params.yaml; {again}"
        case "champion":
            now = needed or "nothing"
            return f"{where} compares it with {was or 'nothing'}, but {now} is in {PROD} now; {again}"
        case _:
            return f"{where} is for another {key}; {again}"


def _proof(verdict: dict[str, Any], change: Change, p: Params) -> dict[str, Any]:
    """What a release rests on, as YAML can hold it."""
    return {
        "schema": SCHEMA,
        "model": verdict["challenger"],
        "lock": {str(path): _sha256(path) for path in (names.LOCK, REQUIREMENTS)},
        "as_of": p.split.as_of,
        "batches": json.loads(SPLIT.read_text(encoding="utf-8")),
        "champion": verdict["champion"],
        "change": {"kind": change.kind, "reasons": list(change.reasons)},
        "intent": verdict["intent"],
        "metrics": verdict["metrics"],
        "golden": golden.record(p.case),
        "verdict": {
            key: verdict[key] for key in ("answer", "why", "alpha", "policy", "policy_from", "holdout")
        }
        | {"rules": [{key: rule[key] for key in rule if key != "parts"} for rule in verdict["rules"]]},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
