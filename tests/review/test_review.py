"""A review of real commits: what is reproduced, judged and reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.common.names import REVIEW_JSON, REVIEW_PAGE
from perenne.common.status import Status
from perenne.documents.review import ParamChange, Review
from perenne.documents.verdict import Verdict
from perenne.pages import review as page
from perenne.review import rerun
from perenne.review.review import review, write
from tests.conftest import Enter, start_cold
from tests.project import Project

GOOD = 60  # boosting rounds; the champion has 3
METRICS = "data/reports/validation.json"


@pytest.fixture
def topic(company: Project, enter: Enter) -> Project:
    """Return the released company on a branch of its own, as the current folder."""
    company.run("git checkout -q -b topic")
    enter(company)
    return company


def rounds(project: Project, number: int, *, repro: bool = True) -> None:
    """Commit another number of rounds."""
    project.edit(r"max_iter: \d+", f"max_iter: {number}")
    if repro:
        project.repro()
    project.commit(f"{number} rounds")


def reviewed(base: str = "origin/main") -> Review:
    """Return the review, which must be one that JSON holds and a page shows."""
    made = review(base)
    assert Review.loads(json.dumps(made.to_json(), allow_nan=False), "review.json") == made
    assert len(page.page(made)) > 100
    return made


def verdict(made: Review) -> Verdict:
    """Return the verdict of a review that has one."""
    assert made.gate is not None
    return made.gate


def test_better_model_can_be_merged(topic: Project, tmp_path: Path) -> None:
    """Reproduced, and judged against the model in prod; figures of the holdout are sealed.

    The page is the same wherever it is made: it is written from the review alone.
    """
    rounds(topic, GOOD)
    topic.commit("Tune: by a search\n\nTuned-Trials: 50")
    made = reviewed()
    assert (made.answer, made.lock, made.trust) == ("eligible", "as committed", "rerun")
    assert made.tried == 50
    assert made.params == (ParamChange(key="train.params.max_iter", before="3", after=str(GOOD)),)
    assert not verdict(made).opened
    assert not verdict(made).metrics
    assert made.data == ()
    assert page.headline(made) == "retirement: can be merged: it is better than v1.0.0 in prod in log_loss"
    assert topic.out("git status --porcelain") == ""
    write(made, tmp_path)
    assert json.loads((tmp_path / REVIEW_JSON).read_text())["answer"] == "eligible"
    assert (tmp_path / REVIEW_PAGE).read_text() == page.page(made)


def test_worse_model_should_not_be_merged(topic: Project) -> None:
    """The command says so by its exit status, and writes both files."""
    rounds(topic, 1)
    done = topic.run("perenne review --base origin/main", status=Status.REJECTED)
    assert "should not be merged" in done.stdout
    assert topic.read("review/review.md").startswith("## ❌ retirement: should not be merged")
    assert json.loads(topic.read("review/review.json"))["answer"] == "rejected"
    assert topic.out("git status --porcelain") == "", "the files of a review do not count as changes"


def test_forged_results_are_not_reproducible(topic: Project) -> None:
    """Nothing is judged, no look is spent, and the working tree is left as it was."""
    rounds(topic, 1)
    topic.edit(r'"kept": \d+', '"kept": 1', METRICS)
    topic.run("dvc commit -q -f")
    topic.commit("forged")
    looks = git.git("for-each-ref", notes.REF)
    made = reviewed()
    assert (made.answer, made.gate) == ("not reproducible", None)
    assert made.findings == (f"validate: {METRICS} is not what the commit reproduces",)
    assert git.git("for-each-ref", notes.REF) == looks
    assert '"kept": 1,' in topic.read(METRICS)


def test_stale_lock_is_reproduced(topic: Project) -> None:
    """The model is judged all the same; the lock that has to be committed lies in the working tree."""
    rounds(topic, GOOD, repro=False)
    made = reviewed()
    assert (made.answer, made.lock) == ("eligible", "stale")
    assert topic.out("git status --porcelain").split() == ["M", "dvc.lock"]
    assert topic.repro() == [], "what was reproduced is here, and nothing runs again"
    assert "run `dvc repro`" in page.page(made).lower()


@pytest.mark.usefixtures("topic")
def test_documentation_alone_runs_nothing(topic: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit whose lock is the base's, and not stale, has the base's model."""
    topic.write("README.md", "new words\n")
    topic.commit("words")
    monkeypatch.setattr(rerun, "rerun", lambda _: pytest.fail("a stage would have run"))
    made = reviewed()
    assert (made.answer, made.lock) == ("unchanged", "not run")
    assert page.headline(made) == "retirement: the model is unchanged"


def test_new_data_leave_the_model_unchanged(topic: Project) -> None:
    """New batches alone never retrain; the review lists them."""
    topic.edit(r"through: \S+", "through: 2021Q1")
    topic.repro()
    topic.commit("a quarter")
    made = reviewed()
    assert (made.answer, made.lock) == ("unchanged", "as committed")
    changed = [(batch.period, batch.how) for batch in made.data or ()]
    # The labels of the quarter before arrive with it.
    assert changed == [("2020Q4", "changed"), ("2021Q1", "added")]
    assert "2 batch(es) of data are new" in page.headline(made)


def test_policy_of_the_base_counts(topic: Project) -> None:
    """A change that loosens the gate is judged by the gate as it was; the page says when it will count."""
    topic.edit(r"^  loss: [0-9.]+", "  loss: 0.99")
    topic.edit(r"alpha: [0-9.]+", "alpha: 0.4")
    rounds(topic, 1, repro=False)
    made = reviewed()
    assert made.answer == "rejected"
    assert verdict(made).policy_from == git.commit("origin/main")
    assert "count after the merge" in page.page(made)


def test_trust_of_the_base_counts(topic: Project) -> None:
    """A change cannot ask to be believed."""
    topic.edit("trust: rerun", "trust: lock")
    topic.edit(r'"kept": \d+', '"kept": 1', METRICS)
    topic.run("dvc commit -q -f")
    topic.commit("believe me")
    assert reviewed().answer == "not reproducible"


def test_lock_is_believed_if_the_base_says_so(topic: Project) -> None:
    """No stage is run, the outputs of the lock are fetched, and the page warns of it."""
    topic.edit("trust: rerun", "trust: lock")
    topic.commit("trust")
    topic.run("git push -q origin topic:main")
    rounds(topic, GOOD)
    topic.run("rm data/model/model.* data/split/*.parquet")
    made = reviewed()
    assert (made.answer, made.trust, made.costs) == ("eligible", "lock", {})
    assert "> [!WARNING]" in page.page(made)


def test_base_that_moved_on_must_be_beaten_as_well(topic: Project) -> None:
    """Changes are those since the common ancestor, but the model must beat the base's current one."""
    topic.run("git checkout -q main")
    rounds(topic, 40)
    topic.run("git push -q origin main && git checkout -q topic && dvc checkout -q")
    rounds(topic, 10, repro=False)
    made = reviewed()
    assert made.fork != made.base
    assert [change.before for change in made.params] == ["3"]
    against = {one.against: one.answer for one in verdict(made).rules if one.rule == "improvement"}
    assert set(against) == {"v1.0.0 in prod", f"base {made.base[:7]}"}
    assert made.answer in ("rejected", "undecided")


def test_model_of_the_base_that_cannot_be_had_is_no_pass(topic: Project) -> None:
    """Without the base's model there is no verdict: that is a failure, and the page says what is missing."""
    rounds(topic, GOOD)
    topic.run("rm -rf .dvc/cache ../../home/perenne-storage ../home/perenne-storage")
    done = topic.run("perenne review --base origin/main", status=Status.FAILED)
    assert "could not be judged" in done.stdout
    assert "not in the cache" in topic.read("review/review.md")


def test_pipeline_that_fails_is_told_in_its_own_words(topic: Project) -> None:
    """A commit that cannot be run is not reproducible."""
    topic.edit(r"max_iter: \d+", "max_itre: 9")
    topic.commit("a slip")
    made = reviewed()
    assert made.answer == "not reproducible"
    assert made.findings[0].startswith("the pipeline fails: ")
    assert "max_itre" in made.findings[0]


def test_only_a_commit_is_reviewed(topic: Project) -> None:
    """A working tree that no commit holds is refused, by the file's name."""
    topic.edit(r"max_iter: \d+", "max_iter: 9")
    with pytest.raises(PerenneError, match=r"params\.yaml: not committed \(1 file\(s\) in all\)"):
        review("origin/main")
    assert topic.run("perenne review --base nowhere", status=Status.FAILED).stderr.startswith(
        "error: params.yaml"
    )


@pytest.mark.minutes
def test_costs_are_shown_beside_those_of_before(topic: Project, enter: Enter) -> None:
    """The first review of a lock records the cost of its stages; a later one shows it."""
    rounds(topic, GOOD, repro=False)
    with pytest.MonkeyPatch.context() as patch:
        start_cold(patch)  # a warm process costs less
        enter(topic)
        first = reviewed()
    enter(topic)
    assert set(first.costs) == {"ingest", "validate", "split", "train", "refit", "evaluate"}
    assert all(seconds > 0 and megabytes > 50 for seconds, megabytes in first.costs.values())
    topic.commit("the lock that the review made")
    topic.run("git push -q origin topic:main")
    rounds(topic, 80, repro=False)
    second = reviewed()
    assert second.costs_before.keys() == first.costs.keys()
    for stage, cost in first.costs.items():
        assert second.costs_before[stage] == pytest.approx(cost, rel=0.01)
