"""A push to the main branch: its model is proven, judged and released, or it is said why not."""

from __future__ import annotations

from pathlib import Path

from perenne.common import git, locked, names
from perenne.common.errors import PerenneError
from perenne.common.names import MODEL, PROD
from perenne.common.options import current_case
from perenne.documents.verdict import Verdict
from perenne.forge import gh, runner
from perenne.gate import ledger
from perenne.registry import costs, storage, tags
from perenne.registry.tags import Version
from perenne.review import rerun
from perenne.review.sides import Side

TRIES = 3  # where other releases are quicker
ATTACHED = [
    *(MODEL.with_suffix(".json"), Path("data/reports/metrics.json"), Path("data/reports/evaluation.json")),
    *(names.DRIFT, names.DRIFT.with_suffix(".html")),
]


def prove() -> str:
    """Run every stage of the commit again, if its model is none that is released; its results lie here then.

    Nothing is written anywhere and no token is needed: what runs is the pipeline's own code.

    Raises
    ------
    PerenneError
        If the commit does not make the results that it says it has.

    """
    runner.configure_dvc()
    head = git.commit("HEAD")
    why = superseded(head) or unchanged(head)
    runner.output("changed", "false" if why else "true")
    if why:
        runner.summary(why)
        return why
    made = rerun.rerun(head)
    if made.lock != "as committed":
        found = made.findings or (f"{names.LOCK} is not of this commit: run dvc repro and commit it",)
        raise PerenneError("\n       ".join(found))
    rerun.bring(made.made)
    costs.record(made.made, made.costs)
    return f"{head[:7]} is proven: it makes {names.LOCK} byte for byte"


def superseded(head: str) -> str | None:
    """What has been released from a later commit; None if nothing was."""
    for version in tags.read(current_case()).versions:
        if version.commit != head and git.succeeds("merge-base", "--is-ancestor", head, version.commit):
            return f"{version.tag} was released from a later commit, {version.commit[:7]}: nothing to release"
    return None


def unchanged(head: str) -> str | None:
    """Which version the commit's model is, by its lock; None if it is none, or the lock is stale."""
    mine = locked.load(head).out(MODEL).md5
    for version in tags.read(current_case()).versions:
        if _model(version) == mine and (version.commit == head or rerun.current(head)):
            told = f"the model is unchanged: it is {version.tag}; nothing to release"
            return told + _kept(version.commit, head)
    return None


def release() -> str:
    """Judge the model that was proven, try it in the real server, and release it; return what was done.

    By the policy of the commit that the branch was at before the push: what a change says about how it is to
    be judged counts from the next one on. Where somebody started the workflow by hand, by this commit's.

    Raises
    ------
    PerenneError
        If the model is rejected, or does not do in the server what it must.

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
                told = release.release(stage=PROD, policy_from=policy, push=True, dry_run=False, trial=trial)
            except PerenneError:
                if tags.read(current_case()).in_stage(PROD) == champion or tries == TRIES:
                    raise
                continue  # somebody was quicker: theirs is to be beaten now
            runner.summary(page.markdown(verdict))
            runner.output("released", "true")
            return told
    raise AssertionError("a try returns or raises")


def before() -> str | None:
    """The commit that the branch was at before the push; None if there was none, or none was pushed."""
    sha = str(runner.event().get("before") or "")
    return sha if sha.strip("0") else None


def publish() -> str:
    """Make a GitHub release of the commit's version, with its card, metrics and report; twice is once.

    The issue that asked for experiments is closed: there is a version to use.
    """
    from perenne.loop import issue
    from perenne.pages import verdict as page

    head = git.commit("HEAD")
    version = next((v for v in tags.read(current_case()).versions if v.commit == head), None)
    if version is None:
        raise PerenneError(f"{head[:7]}: no version is registered at this commit; perenne github release")
    where = ["--repo", runner.variable("GITHUB_REPOSITORY")]
    if _exists(version.tag, where):
        return f"{version.tag} is a release on GitHub already"
    sha256 = version.sha256 if version.proof else ""
    eligible = [verdict for verdict in ledger.verdicts(sha256) if verdict.answer == "eligible"]
    notes = "\n\n".join([version.message, *(page.markdown(verdict) for verdict in eligible[-1:])])
    options = ["--verify-tag", "--title", f"{version.name} {version.version}", "--notes-file", "-"]
    files = [str(path) for path in ATTACHED if path.exists()]
    gh.run(["release", "create", *where, *options, "--", version.tag, *files], notes)
    told = f"{version.tag} is a release on GitHub, with {', '.join(files)}"
    return "\n".join([told, *issue.settle(version.name)])


def _not_released(verdict: Verdict) -> str:
    """Say on the page of the run why nothing is released."""
    from perenne.pages import verdict as page

    runner.summary(page.markdown(verdict))
    if verdict.answer == "rejected":
        raise PerenneError(f"not released: {page.headline(verdict)}")
    return f"::warning::not released: {page.headline(verdict)}"


def _exists(tag: str, where: list[str]) -> bool:
    try:
        gh.run(["release", "view", *where, "--", tag])
    except PerenneError as error:
        if "not found" not in str(error):
            raise
        return False
    return True


def _model(version: Version) -> str | None:
    try:
        return locked.load(version.commit).out(MODEL).md5
    except PerenneError:
        return None


def _kept(*commits: str) -> str:
    """Have in DVC's cache what reviews compare with: they get this cache, and no key to the remote.

    Return why that cannot be, as a clause; the release itself can do without.
    """
    try:
        for commit in commits:
            for path in (MODEL, MODEL.with_suffix(".json")):
                storage.obtain(commit, path)
            for path in (names.VALIDATION, names.DRIFT):
                Side(commit).section(path, "")
            Side(commit).batches()
    except PerenneError as error:
        return f"; reviews will have nothing to compare with: {error}"
    return ""
