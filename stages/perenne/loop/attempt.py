"""A candidate: trained in the worktree, committed, and judged by the gate.

Nothing here depends on when it runs. A commit is dated as the one below it, so that the same retraining is
the same commit, and a verdict that is known is not asked for again: who begins anew comes to the same end.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from perenne.cases.source import source_of
from perenne.common import git, locked, sections
from perenne.common.errors import PerenneError
from perenne.common.names import HOLDOUT, INCOMING, LOCK, MODEL, PARAMS
from perenne.common.sections import contract_of
from perenne.documents.verdict import Intent, Verdict
from perenne.gate import gate, ledger, policy
from perenne.gate.gate import SpentError
from perenne.loop import edit, worktree
from perenne.loop.monitor import Monitored
from perenne.registry import reproduce

INTENT: Intent = "fresher"  # newer data and the same recipe: it must not be worse, on labels that have come


class Tried(NamedTuple):
    """A candidate and its verdict; `commit` reproduces it. `spent` says why there is no verdict."""

    name: str
    commit: str
    verdict: Verdict | None
    spent: str = ""

    @property
    def answer(self) -> str:
        """The gate's answer."""
        return self.verdict.answer if self.verdict else "undecided"

    @property
    def why(self) -> str:
        """The reason for it."""
        return self.verdict.why if self.verdict else self.spent

    def judged(self) -> Verdict:
        """Return the verdict; a `PerenneError` if there is none."""
        if self.verdict is None:
            raise PerenneError(self.spent)
        return self.verdict

    def line(self) -> dict[str, Any]:
        """What is kept of it in the notes."""
        more = [finding.more_blocks for finding in self.verdict.undecided()] if self.verdict else []
        known = [blocks for blocks in more if blocks is not None]
        return {
            "name": self.name,
            "answer": self.answer,
            "why": self.why,
            "more_blocks": max(known) if known and known == more else None,  # None: no number would decide
        }


def attempt(base: str, found: Monitored, candidate: dict[str, Any], *, share: bool) -> Tried:
    """Make a candidate on top of a commit, in the worktree that is the current folder, and judge it."""
    worktree.fresh(base)
    edited(found, candidate)
    keep_inputs()
    folder = Path.cwd()
    failed = reproduce.shown(["dvc", "repro"], folder, reproduce.environment(folder))
    if failed:
        raise PerenneError(f"{candidate['name']}: {reproduce.why(failed)}")
    commit = committed(base, message(found, candidate))
    try:
        return Tried(candidate["name"], commit, _judged(base, found, share=share))
    except SpentError as error:
        return Tried(candidate["name"], commit, None, str(error))


def edited(found: Monitored, candidate: dict[str, Any]) -> None:
    """Move `as_of`, and what has to move with it: lines, not the file."""
    values: dict[str, edit.Value] = {f"split.{key}": candidate[key] for key in ("as_of", "window", "holdout")}
    values |= {"ingest.through": found["through"]}
    text = PARAMS.read_text(encoding="utf-8")
    PARAMS.write_text(edit.replaced(text, values, str(PARAMS)), encoding="utf-8")


def keep_inputs() -> None:
    """Give files that have come to DVC, as their user would have."""
    if not source_of(sections.params().ingest).delivered:
        return
    folder = Path.cwd()
    env = reproduce.environment(folder)
    notes = {".dvc", ".md", ".gitignore"}
    for path in sorted(INCOMING.rglob("*")):
        if path.is_file() and path.suffix not in notes and path.name not in notes:
            known = path.with_name(f"{path.name}.dvc")
            command = ("commit", "--force", str(known)) if known.exists() else ("add", str(path))
            reproduce.dvc(folder, env, *command)


def committed(base: str, message: str) -> str:
    """The commit of what has changed; where nothing has, that below it."""
    git.git("add", "--", str(PARAMS), str(LOCK), str(INCOMING))
    if git.succeeds("diff", "--cached", "--quiet"):
        return base
    at = git.git("show", "--no-patch", "--format=%cd", "--date=raw", base)
    dates = {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    git.git("commit", "--quiet", "--no-verify", "--file=-", stdin=message, env=dates)
    return git.commit("HEAD")


def message(found: Monitored, candidate: dict[str, Any]) -> str:
    """Why there was a retraining, for whoever reads the history."""
    subject = f"Retrain {found['case']} on what is known by {found['through']}"
    reasons = "\n".join(f"- {reason}" for reason in found["reasons"])
    champion = found["champion"]["version"]
    return f"{subject}\n\n{champion} is no longer right:\n{reasons}\n\nOffered: {candidate['name']}.\n"


def _judged(base: str, found: Monitored, *, share: bool) -> Verdict:
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    rules = policy.load(base, contract_of(found["case"]).task)
    needed = (found["champion"]["version"], INTENT, rules.record(), locked.load().out(HOLDOUT).md5)
    for known in ledger.verdicts(sha256):
        if needed == (known.champion, known.intent, known.policy, known.holdout.md5):
            return known
    return gate.gate(policy_from=base, intent=INTENT, share=share, offline=True)
