"""A push to the main branch: its model is proven, judged and released, or the log says why not."""

from __future__ import annotations

from perenne.actions import runner
from perenne.actions.events import Pushed
from perenne.common import git, locked, names
from perenne.common.errors import PerenneError
from perenne.common.names import MODEL, PROD
from perenne.common.options import current_case
from perenne.documents.verdict import Verdict
from perenne.registry import costs, storage, tags
from perenne.registry.tags import Version
from perenne.review import rerun
from perenne.review.sides import Side

TRIES = 3  # if other releases are quicker


def prove() -> str:
    """Run all stages of the commit again, unless its model is released already; return a message for the log.

    The results are in the working tree afterwards. Nothing else is written, and no token is needed: this step
    runs the pipeline's own code. The step's output `changed` says whether there is a model to release.

    Raises
    ------
    PerenneError
        If the commit does not reproduce the results that it contains.

    """
    runner.configure_dvc()
    head = git.commit("HEAD")
    why = superseded(head) or unchanged(head)
    runner.flag("changed", value=why is None)
    if why:
        runner.summary(why)
        return why
    made = rerun.rerun(head)
    if made.lock != "as committed":
        findings = made.findings or (f"{names.LOCK} is not of this commit: run dvc repro and commit it",)
        raise PerenneError("\n       ".join(findings))
    rerun.bring(made.made)
    costs.record(made.made, made.costs)
    return f"{head[:7]} is proven: it reproduces {names.LOCK} byte for byte"


def superseded(head: str) -> str | None:
    """Return why a commit is too old to release: a later one was released. None if none was."""
    for version in tags.read(current_case()).versions:
        if version.commit != head and git.succeeds("merge-base", "--is-ancestor", head, version.commit):
            return f"{version.tag} was released from a later commit, {version.commit[:7]}: nothing to release"
    return None


def unchanged(head: str) -> str | None:
    """Return which version the commit's model is, by its lock; None if it is new, or the lock is stale."""
    mine = locked.load(head).out(MODEL).md5
    for version in tags.read(current_case()).versions:
        if _model(version) == mine and (version.commit == head or rerun.current(head)):
            message = f"the model is unchanged: it is {version.tag}; nothing to release"
            return message + _cached(version.commit, head)
    return None


def release() -> str:
    """Judge the proven model, test it in the real server, and release it; return a message for the log.

    The policy is that of the commit that the branch was at before the push: a change of the policy applies
    from the next push on. If somebody started the workflow by hand, it is this commit's. The step's output
    `released` says that there is a new version.

    Raises
    ------
    PerenneError
        If the model is rejected, or fails the smoke test in the server.

    """
    from perenne.gate import gate
    from perenne.pages import verdict as page
    from perenne.release import release
    from perenne.serving import smoke

    runner.configure_dvc()
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


def _model(version: Version) -> str | None:
    try:
        return locked.load(version.commit).out(MODEL).md5
    except PerenneError:
        return None


def _cached(*commits: str) -> str:
    """Fill DVC's cache with what reviews compare with: they get this cache, and no key to the remote.

    Return why that fails, as a clause: the release does not need it.
    """
    try:
        for commit in commits:
            for path in (MODEL, MODEL.with_suffix(".json")):
                storage.obtain(commit, path)
            for path in (names.VALIDATION, names.DRIFT):
                Side(commit).section(path, "")
            Side(commit).batches()
    except PerenneError as error:
        return f"; reviews have nothing to compare with: {error}"
    return ""
