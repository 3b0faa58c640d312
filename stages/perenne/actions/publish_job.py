"""The release page of a version on the Git host, with its card, metrics and reports."""

from __future__ import annotations

from perenne import forge
from perenne.common import git, names
from perenne.common.errors import PerenneError
from perenne.common.options import current_case
from perenne.gate import ledger
from perenne.registry import tags

ATTACHED = [names.CARD, names.RELEASED_CARD, names.METRICS, names.EVALUATION, names.DRIFT, names.DRIFT_PAGE]


def publish() -> str:
    """Make a release page of the commit's version, unless it has one; return a message for the log.

    The issue that asks for experiments is closed, since there is a better version now.

    Raises
    ------
    PerenneError
        If no version is registered at this commit.

    """
    from perenne.loop import issue
    from perenne.pages import verdict as page

    host, head = forge.required(), git.commit("HEAD")
    version = next((v for v in tags.read(current_case()).versions if v.commit == head), None)
    if version is None:
        raise PerenneError(f"{head[:7]}: no version is registered at this commit; perenne github release")
    if host.has_release(version.tag):
        return f"{version.tag} has a release page already"
    sha256 = version.proven.sha256 if version.proof else ""
    eligible = [verdict for verdict in ledger.verdicts(sha256) if verdict.answer == "eligible"]
    notes = "\n\n".join([version.message, *(page.markdown(verdict) for verdict in eligible[-1:])])
    files = [path for path in ATTACHED if path.exists()]
    host.release(version.tag, f"{version.name} {version.version}", notes, files)
    attached = ", ".join(map(str, files))
    return "\n".join([f"{version.tag} has a release page, with {attached}", *issue.settle(version.name)])
