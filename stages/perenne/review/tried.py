"""How many settings were tried before a change was proposed, by the trailers of its commits."""

from __future__ import annotations

import re

from perenne.common import git

TRAILER = "Tuned-Trials"  # of a commit by perenne tune
MOST = 9  # digits: anybody may have written the message


def tried(base: str, head: str) -> int:
    """Return how many settings the commits that `head` has and `base` has not say they were chosen from.

    Parameters
    ----------
    base, head
        Commits.

    """
    lines = git.git("log", f"--format=%(trailers:key={TRAILER},valueonly)", f"{base}..{head}").splitlines()
    return sum(int(line) for line in lines if re.fullmatch(rf"[0-9]{{1,{MOST}}}", line, re.ASCII))
