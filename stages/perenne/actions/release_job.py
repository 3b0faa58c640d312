"""A push to the main branch: its model is proven, judged and released, or the log says why not.

Three jobs, so that the one that runs the stages has nothing to steal and may write nothing: `bring` may read
the data remote, `prove` runs the stages, `release` may push, runs no stage, and takes from `prove` only bytes
with the hash that the commit's lock names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from perenne import forge
from perenne.actions import artifact, handover, runner
from perenne.actions.artifact import Artifact
from perenne.actions.events import Pushed
from perenne.common import git, locked, names
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, PROD
from perenne.common.options import current_case
from perenne.documents.verdict import Verdict
from perenne.registry import costs, storage, tags
from perenne.registry.tags import Version
from perenne.review import rerun
from perenne.review.sides import Side

PROVEN = Path("proven")  # the folder that `prove` leaves, and the artifact's name in release.yml
COSTS, MOST_COSTS = "costs.json", 100_000
TRIES = 3  # if other releases are quicker

Figure = Annotated[float, Field(ge=0, lt=1e12)]


class ProvenCosts(RootModel[dict[Annotated[str, Field(max_length=100)], tuple[Figure, Figure]]]):
    """Seconds and megabytes of each stage, as `prove` measured them; the stages themselves may have."""


def bring() -> str:
    """Bring the data that the commit's stages start from, unless its model is released already.

    They are in DVC's cache afterwards, for `prove`, which has no key to the remote. No stage is run. The
    step's output `changed` says whether there is a model to release.
    """
    runner.configure_dvc()
    head = git.commit("HEAD")
    why = superseded(head) or unchanged(head)
    runner.flag("changed", value=why is None)
    if why:
        runner.summary(why)
        return why
    return f"{head[:7]} has another model{rerun.bring_inputs()}"


def prove() -> str:
    """Run all stages of the commit again and hand over what they made; return a message for the log.

    This runs the pipeline's own code, so its job has no token, no secret, and may write nothing.

    Raises
    ------
    PerenneError
        If the commit does not reproduce the results that it contains.

    """
    head = git.commit("HEAD")
    made = rerun.rerun(head)
    if made.lock != "as committed":
        findings = made.findings or (f"{LOCK} is not of this commit: run dvc repro and commit it",)
        raise PerenneError("\n       ".join(findings))
    champion = tags.read(current_case()).in_stage(PROD)
    handover.pack(PROVEN, champion.commit if champion else None)
    (PROVEN / COSTS).write_text(json.dumps(made.costs), encoding="utf-8")
    return f"{head[:7]} is proven: it reproduces {LOCK} byte for byte"


def proven() -> None:
    """Put what `prove` has handed over into the working tree: the data with the hashes of the commit's lock.

    Raises
    ------
    PerenneError
        If there is nothing, it is for another lock, or bytes do not have their hash.

    """
    lock = git.show("HEAD", LOCK)
    with artifact.downloaded(forge.required(), runner.run(), PROVEN.name, handover.MOST) as results:
        if results is None:
            raise PerenneError(f"{PROVEN}: the run has no such artifact, so nothing is proven")
        if results.text(str(LOCK), handover.MOST_LOCK).encode() != lock:
            raise PerenneError(f"{PROVEN}: its {LOCK} is not the commit's")
        handover.unpack(results, lock)
        figures = _costs(results)
    rerun.pull()
    costs.record(lock, figures)


def _costs(results: Artifact) -> dict[str, tuple[float, float]]:
    try:
        return ProvenCosts.model_validate_json(results.text(COSTS, MOST_COSTS)).root
    except ValueError as error:
        raise PerenneError(f"{PROVEN}/{COSTS}: not what a proof writes: {error!s:.100}") from error


def superseded(head: str) -> str | None:
    """Return why a commit is too old to release: a later one was released. None if none was."""
    for version in tags.read(current_case()).versions:
        if version.commit != head and git.succeeds("merge-base", "--is-ancestor", head, version.commit):
            return f"{version.tag} was released from a later commit, {version.commit[:7]}: nothing to release"
    return None


def unchanged(head: str) -> str | None:
    """Return which version the commit's model is, by its lock; None if it is new, or the lock is stale."""
    mine = locked.load(head).models
    for version in tags.read(current_case()).versions:
        if _known(version) == mine and (version.commit == head or rerun.current(head)):
            message = f"the model is unchanged: it is {version.tag}; nothing to release"
            return message + fill_cache(version.commit, head)
    return None


def release() -> str:
    """Judge the proven model, test it in the real server, and release it; return a message for the log.

    No stage is run. The policy is that of the commit that the branch was at before the push: a change of the
    policy applies from the next push on. If somebody started the workflow by hand, it is this commit's. The
    step's output `proven` says that the results are in the working tree, and `released` that there is a new
    version.

    Raises
    ------
    PerenneError
        If what was proven is damaged, or the model is rejected, or fails the smoke test in the server.

    """
    from perenne.gate import gate
    from perenne.pages import verdict as page
    from perenne.release import release
    from perenne.serving import smoke

    runner.configure_dvc()
    proven()
    runner.flag("proven", value=True)
    head, policy, trial = git.commit("HEAD"), before(), smoke.smoke_tester(current_case())
    with runner.rights():
        for tries in range(1, TRIES + 1):
            tags.fetch()
            champion = tags.read(current_case()).in_stage(PROD)
            if why := superseded(head):
                return why
            verdict = gate.gate(policy_from=policy, share=True)
            if verdict.answer != "eligible":
                return _not_released(verdict)
            try:
                message = release.release(
                    stage=PROD, policy_from=policy, push=True, dry_run=False, trial=trial
                )
            except PerenneError:
                if tags.read(current_case()).in_stage(PROD) == champion or tries == TRIES:
                    raise
                continue  # another release was quicker: that version is the champion now
            runner.summary(page.markdown(verdict))
            runner.flag("released", value=True)
            return message
    raise AssertionError("a try returns or raises")


def before() -> str | None:
    """Return the branch's commit before the push; None if the branch is new or nothing was pushed."""
    sha = runner.event(Pushed).before or ""
    return sha if sha.strip("0") else None


def _not_released(verdict: Verdict) -> str:
    """Write on the page of the run why nothing is released; raise if the model is rejected."""
    from perenne.pages import verdict as page

    runner.summary(page.markdown(verdict))
    if verdict.answer == "rejected":
        raise PerenneError(f"not released: {page.headline(verdict)}")
    if verdict.answer == "unchanged":
        return f"not released: {page.headline(verdict)}"
    return f"::warning::not released: {page.headline(verdict)}"


def _known(version: Version) -> tuple[str, str] | None:
    try:
        return locked.load(version.commit).models
    except PerenneError:
        return None


def fill_cache(*commits: str) -> str:
    """Fill DVC's cache with what reviews compare with: they get this cache, and no key to the remote.

    Return why that fails, as a clause: the release does not need it.
    """
    try:
        for commit in commits:
            for path in dict.fromkeys([names.MODEL, locked.load(commit).released]):
                storage.obtain(commit, path)
                storage.obtain(commit, path.with_suffix(".json"))
            for path in (names.VALIDATION, names.DRIFT):
                Side(commit).section(path, "")
            Side(commit).batches()
    except PerenneError as error:
        return f"; reviews have nothing to compare with: {error}"
    return ""
