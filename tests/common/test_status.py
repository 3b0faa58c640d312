"""The exit statuses: one list, in which a failure shares none with an answer."""

from __future__ import annotations

from typing import get_args

import pytest

from perenne.common.errors import PerenneError, run
from perenne.common.status import BY_ANSWER, Status
from perenne.documents.decision import MonitorAnswer
from perenne.documents.review import ReviewAnswer
from perenne.documents.verdict import VerdictAnswer


def test_every_answer_has_a_status() -> None:
    """An answer that is added must be given one."""
    answers = {*get_args(VerdictAnswer), *get_args(ReviewAnswer), *get_args(MonitorAnswer)}
    assert set(BY_ANSWER) == answers


def test_no_answer_is_a_failure_or_a_usage_error() -> None:
    """A script that acts on an answer must not act on a crash; to be unable to judge is no answer."""
    answered = {status for answer, status in BY_ANSWER.items() if answer != "could not judge"}
    assert not answered & {Status.FAILED, Status.USAGE}


def test_what_has_to_be_done_is_told_apart() -> None:
    """Two answers share a status only if nothing has to be done about either."""
    asking = [status for status in BY_ANSWER.values() if status not in (Status.DONE, Status.FAILED)]
    assert len(asking) == len(set(asking))


def test_what_others_wrote_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A name in an error may hold anything."""

    def main() -> None:
        raise PerenneError("retirement@v1.0.0 was made by M\x1b[31mallory")

    with pytest.raises(SystemExit):
        run(main)
    assert capsys.readouterr().err == "error: retirement@v1.0.0 was made by M\\x1b[31mallory\n"


def test_bad_input_ends_with_the_status_of_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line; of an error that is an answer it is that of the answer."""

    class ForgedError(PerenneError):
        status = Status.NOT_REPRODUCIBLE

    for kind in (PerenneError, ForgedError):

        def main(kind: type[PerenneError] = kind) -> None:
            raise kind("params.yaml: no")

        with pytest.raises(SystemExit) as ended:
            run(main)
        assert ended.value.code == kind.status
        assert capsys.readouterr().err == "error: params.yaml: no\n"
