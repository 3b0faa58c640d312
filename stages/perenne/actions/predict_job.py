"""Score files with the version in prod, for `predict.yml`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from perenne.actions import runner
from perenne.common.errors import PerenneError
from perenne.common.names import CLEAN, PROD
from perenne.common.options import current_case
from perenne.common.params import Validate
from perenne.common.sections import section
from perenne.registry import tags
from perenne.registry.workspace import line

SCORES = Path("scores/scores.parquet")  # its folder is the artifact


def predict() -> str:
    """Score the files in `FILES`, by default the newest batch; return a message for the log.

    Files that the checkout lacks are brought by DVC. `FILES` has paths, with blanks between them.

    Raises
    ------
    PerenneError
        If a file is unavailable or cannot be scored, or too many of its rows were set aside: then the scores
        of the others are written all the same.

    """
    from perenne.predict import predict
    from perenne.serving import settings

    case = current_case()
    runner.configure_dvc()
    with runner.rights():
        tags.fetch()
    if tags.read(case).in_stage(PROD) is None:
        message = f"{case}: nothing is in {PROD} yet"
        runner.summary(message)
        return message
    files = [Path(path) for path in os.environ.get("FILES", "").split()]
    _bring([path for path in files or [CLEAN] if not path.exists()])
    SCORES.parent.mkdir(exist_ok=True)
    summary = predict.predict(
        *(case, tags.read(case).find(PROD), files, SCORES),
        at=datetime.now(UTC),
        threshold=settings.load(host="127.0.0.1").threshold,
    )
    runner.summary(str(summary))
    problem = summary.too_many(section("validate", Validate).max_quarantined_share)
    if problem:
        raise PerenneError(problem)
    return str(summary)


def _bring(paths: list[Path]) -> None:
    """Get files that DVC keeps from its cache or its remote."""
    from dvc.repo import Repo

    if not paths:
        return
    try:
        with Repo() as repo:
            repo.pull(targets=[str(path) for path in paths])
    except Exception as error:  # whatever DVC makes of a text that somebody else wrote
        raise PerenneError(f"{', '.join(map(str, paths))}: {line(error)}") from error
