"""Where a project is: what `perenne status` shows and writes as JSON."""

from __future__ import annotations

from collections.abc import Mapping

from perenne.common.document import Document, Figure
from perenne.common.typed import Model
from perenne.documents.drift import DriftAdvice


class ArrivedData(Model):
    """The batches that `validate` has passed on, by their periods."""

    batches: int
    first: str
    last: str


class WorkingTree(Model):
    """The commit, its branch (None: detached), and how many files differ from it."""

    commit: str
    branch: str | None
    changed: int


class BuiltModel(Model):
    """The model here: what it knows, how it fares on validation, and what the gate said of it, if asked.

    `more_blocks` is set where more labels may decide.
    """

    sha256: str
    as_of: str
    metrics: Mapping[str, Figure]
    answer: str | None = None
    why: str = ""
    more_blocks: Figure = None


class ServedVersion(Model):
    """The version in prod; `here`: its model is the one in the working tree."""

    version: str
    commit: str
    released: str
    as_of: str | None
    here: bool


class NextStep(Model):
    """What to do next, and the command that does it; None where one can only wait or think."""

    why: str
    command: str | None = None


class ProjectStatus(Document):
    """Where a project is, by what is in this folder and its tags and notes: no remote is asked.

    `waiting` are the stages that `dvc repro` would run first. `drift` is of the model here.
    """

    SCHEMA = 1

    case: str
    data: ArrivedData | None
    tree: WorkingTree
    waiting: tuple[str, ...]
    model: BuiltModel | None
    prod: ServedVersion | None
    drift: DriftAdvice | None
    next: NextStep
