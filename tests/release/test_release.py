"""Releases: only eligible models, whole or not at all, with the proof in the tag."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from perenne.common import batches, git, model, model_file, names, notes
from perenne.common.contract import read_contract
from perenne.common.errors import PerenneError
from perenne.documents.evaluation import Evaluation
from perenne.documents.proof import Proof, ProvenVerdict
from perenne.gate.gate import gate
from perenne.registry import tags
from perenne.registry.tags import Version
from perenne.release.release import release
from tests.conftest import Enter
from tests.project import Project

TAGS = "git for-each-ref --format='%(refname:short)' refs/tags"
ON_ORIGIN = "git ls-remote --tags --refs origin | cut -f2 | sed 's:refs/tags/::'"


@pytest.fixture
def inside(company: Project, enter: Enter) -> Project:
    """Return the company as it was first released, as the current folder."""
    enter(company)
    return company


def improve(project: Project, rounds: int = 60) -> None:
    """Commit a better model."""
    project.edit(r"max_iter: \d+", f"max_iter: {rounds}")
    project.repro()
    project.commit(f"{rounds} rounds")


def let_go(*, push: bool = True, dry_run: bool = False) -> str:
    """Release to prod."""
    return release(stage="prod", policy_from=None, push=push, dry_run=dry_run)


def proof(version: str) -> Proof:
    """Return the proof in the tag of a version."""
    proof = tags.read("retirement").find(version).proof
    assert proof is not None
    return proof


def test_release_is_two_tags_on_the_origin(inside: Project) -> None:
    """The version and its stage, on the commit; GTO's own commands read both."""
    improve(inside)
    gate()
    assert let_go().startswith("released retirement@v1.1.0, retirement#prod#2")
    assert set(inside.out(ON_ORIGIN).split()) >= {"retirement@v1.1.0", "retirement#prod#2"}
    assert inside.out("git rev-list -n1 retirement@v1.1.0") == inside.out("git rev-parse HEAD")
    shown = json.loads(inside.out("gto show retirement --json"))
    assert [v["version"] for v in shown if "prod" in [stage["stage"] for stage in v["stages"]]][:1] == [
        "v1.1.0"
    ]
    history = inside.out("gto history retirement --plain")
    assert history.count("registration") == history.count("assignment") == 2


def test_steps_within_the_tolerance_do_not_add_up(inside: Project) -> None:
    """Each is a little worse than the one before, and the second is too much below the last better one."""
    improve(inside, 30)
    gate()
    let_go(push=False)
    inside.edit("intent: auto", "intent: fresher")
    inside.edit(r"^  loss: 0.01", "  loss: 0.07")
    improve(inside, 18)
    first = gate()
    assert first.answer == "eligible"
    assert {f.against for f in first.rules if f.rule == "improvement"} == {"v1.1.0 in prod"}
    let_go(push=False)
    improve(inside, 13)
    second = gate(opening=True)
    answers = {f.against: f.answer for f in second.rules if f.rule == "improvement"}
    assert answers == {"v1.2.0 in prod": "pass", "v1.1.0": "undecided"}
    assert second.answer == "undecided"
    assert [one.name for one in second.opponents] == ["v1.2.0 in prod", "v1.1.0"]


def test_tags_that_cannot_be_read_stop_nothing(inside: Project) -> None:
    """Pushed by anybody: versions are listed, judged, released and rolled back as if they were not there."""
    late, deep = "253402300800 +0000", f"x\n\n---\n{'[' * 3000}"
    for name, date, message in (
        ("retirement@v7.0.0", late, "x"),
        ("retirement#prod#7", late, "x"),
        ("retirement@v1.0.0!", "253402300799 +0000", "x"),
        ("retirement@v1.0.1", "1600000000 +0000", deep),
        ("retirement@v1.0.2", "1600000000 +0000", "x\n\n---\na: !!bool x"),
    ):
        inside.run("git commit -q --allow-empty -m another")
        head = inside.out("git rev-parse HEAD").strip()
        text = f"object {head}\ntype commit\ntag {name}\ntagger Eve <eve@example.org> {date}\n\n{message}\n"
        made = git.git("hash-object", "-t", "tag", "-w", "--literally", "--stdin", stdin=text)
        inside.run(f"git update-ref 'refs/tags/{name}' {made} && git push -q origin 'refs/tags/{name}'")
    improve(inside)
    assert gate().answer == "eligible"
    assert let_go().startswith("released retirement@v1.1.0, retirement#prod#8")
    listed = inside.run("perenne models")
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [
        "v1.1.0",
        "v1.0.0",
        "v1.0.2",
        "v1.0.1",
    ]
    assert len(listed.stderr.splitlines()) == 5
    assert inside.out("perenne rollback v1.0.0 --reason test").startswith("retirement@v1.0.0 is in prod")


def test_names_that_somebody_has_taken_are_passed_over(inside: Project) -> None:
    """Pushed by anybody, they are no releases, but Git makes no tag of that name, or above another one."""
    for name in (
        "retirement@v1.1.0/x",
        "retirement@v1.2.0",
        "retirement#prod#2/x",
        f"retirement#zzz#{'9' * 220}",
    ):
        inside.run(f"git tag '{name}' && git push -q origin 'refs/tags/{name}'")
    inside.run("git commit -q --allow-empty -m another")
    inside.run("git tag -a -m x retirement@v999999999999.999999999999.999999999999 && git push -q --tags")
    improve(inside)
    assert gate().answer == "eligible"
    assert let_go().startswith("released retirement@v1.3.0, retirement#prod#3")
    assert inside.out("perenne rollback v1.0.0 --reason test").startswith("retirement@v1.0.0 is in prod")


def test_proof_is_what_was_released(inside: Project) -> None:
    """Hashes are those of the files, metrics those of validation; the champion is that of the verdict."""
    improve(inside)
    verdict = gate()
    let_go()
    held = proof("v1.1.0")
    assert set(held.lock or {}) == {"dvc.lock", "requirements.txt"}
    assert held.released is not None
    models = {"data/model/model.skops": held.model.sha256, "data/model/released.skops": held.released.sha256}
    for file, sha256 in ((held.lock or {}) | models).items():
        assert hashlib.sha256((inside.path / file).read_bytes()).hexdigest() == sha256, file
    metrics = {name: metric.model_dump() for name, metric in (held.metrics or {}).items()}
    measured = Evaluation.load(names.EVALUATION).validation.metrics
    assert metrics == {name: metric.model_dump(exclude={"dummy"}) for name, metric in measured.items()}
    assert held.measured_on == "validation"
    subject = inside.out("git tag -l --format='%(contents:subject)' retirement@v1.1.0")
    assert subject.startswith(f"retirement v1.1.0: log_loss {measured['log_loss'].value:.4g} [")
    assert subject.endswith("] in validation, better than v1.0.0\n")
    assert (held.champion, held.as_of) == ("v1.0.0", "2019Q4")
    whole = tuple(finding.model_copy(update={"parts": ()}) for finding in verdict.rules)
    assert held.verdict == ProvenVerdict.of(verdict.model_copy(update={"rules": whole}))
    assert (held.released.first, held.released.last) == ("2014Q1", "2019Q3")
    rows, contract = batches.read_parquet(names.HOLDOUT), read_contract("retirement")
    mine, other = (
        model.predict(model_file.load(path, path.with_suffix(".json"))[0], rows, contract)
        for path in (names.MODEL, names.RELEASED)
    )
    assert held.released.moved == pytest.approx(sum(abs(mine - other)) / len(rows), rel=1e-4)
    assert held.batches == json.loads(inside.read("data/reports/split.json"))
    inside.run(f"git fetch -q origin {notes.REF}:refs/there")
    inside.run(f"git merge-base --is-ancestor {held.ledger} refs/there")


def test_verdict_on_another_refit_allows_no_release(inside: Project) -> None:
    """The proven model is the same, and what would be put to use is not."""
    improve(inside)
    assert gate().answer == "eligible"
    inside.edit("refit: true", "refit: false")
    inside.repro()
    inside.commit("as it was proven")
    with pytest.raises(PerenneError, match=r"its verdict is for another refitted model, data/model/rel"):
        let_go()


def test_model_that_was_not_refitted_is_released_as_it_was_proven(inside: Project) -> None:
    """The tag has one model."""
    inside.edit("refit: true", "refit: false")
    improve(inside)
    gate()
    let_go()
    assert proof("v1.1.0").released is None
    version = tags.read("retirement").find("v1.1.0")
    assert version.released == version.proven


def test_ledger_that_was_deleted_stops_gate_and_release(inside: Project) -> None:
    """Looks that a release rests on are not forgotten: the next look would be the first again."""
    improve(inside)
    gate()
    inside.run(f"git push -q origin :{notes.REF} && git update-ref refs/kept {notes.REF}")
    inside.run(f"git update-ref -d {notes.REF}")
    for judge in (gate, let_go):
        with pytest.raises(
            PerenneError, match=rf"^{notes.REF}: lacks [0-9a-f]{{40}}, which retirement@v1\.0\.0"
        ):
            judge()
    inside.run(f"git update-ref {notes.REF} refs/kept")
    assert let_go().startswith("released retirement@v1.1.0")


def test_tag_is_not_pushed_before_the_ledger_that_it_names(inside: Project) -> None:
    """Whatever pushes it: else nobody else could judge a model until somebody pushes the ledger."""
    improve(inside)
    gate()
    let_go(push=False)
    inside.run("perenne rollback v1.0.0 --reason 'to see' --push")
    assert "retirement@v1.1.0" in inside.out(ON_ORIGIN)
    there = inside.out(f"git ls-remote origin {notes.REF}").split()[0]
    inside.run(f"git fetch -q origin {notes.REF}")
    inside.run(f"git merge-base --is-ancestor {proof('v1.1.0').ledger} {there}")


@pytest.mark.parametrize(
    ("pattern", "new", "version", "reason"),
    [
        (r"max_iter: \d+", "max_iter: 60", "v1.1.0", "train.params.max_iter 3 -> 60"),
        (r"as_of: 2019Q4", "as_of: 2020Q1", "v1.0.1", "split.as_of 2019Q4 -> 2020Q1"),
    ],
)
def test_version_says_how_much_changed(
    inside: Project, pattern: str, new: str, version: str, reason: str
) -> None:
    """Minor for another recipe, patch for newer data alone; the reason is in the tag."""
    inside.edit(pattern, new)
    inside.repro()
    inside.commit("a change")
    inside.edit("^  loss: 0.01", "  loss: 0.99")
    inside.commit("a lenient tolerance")
    assert gate().answer == "eligible"
    let_go(push=False)
    assert reason in (proof(version).change.reasons or ())
    assert f"- {reason}" in inside.out(f"git tag -l --format='%(contents)' retirement@{version}")


def test_another_input_is_a_major_version(inside: Project) -> None:
    """Callers of the model must send other rows."""
    inside.edit(
        "part_time:    {type: boolean, role: feature",
        "part_time:    {type: boolean, role: ignored",
        "data/cases/retirement/contract.yaml",
    )
    improve(inside)
    gate()
    let_go(push=False)
    assert (proof("v2.0.0").change.reasons or ())[:1] == ("contract: feature part_time: boolean -> none",)


def test_released_twice_is_one_version(inside: Project) -> None:
    """The second time says so; a release that was not pushed is pushed by the second."""
    improve(inside)
    gate()
    let_go(push=False)
    before = inside.out(TAGS)
    assert "retirement@v1.1.0 is this model already, in prod" in let_go(push=True)
    assert inside.out(TAGS) == before
    assert sorted(inside.out(ON_ORIGIN).split()) == sorted(before.split())


def test_release_that_was_kept_here_goes_along_with_the_next(inside: Project, tmp_path: Path) -> None:
    """Tag, data and all: the next one was proven better than it, which anyone must be able to see."""
    improve(inside)
    gate()
    let_go(push=False)
    inside.edit(r"max_iter: \d+", "max_iter: 90")
    inside.edit("^  loss: 0.01", "  loss: 0.3")
    inside.edit("intent: auto", "intent: fresher")
    inside.repro()
    inside.commit("yet more rounds")
    gate()
    let_go(push=True)
    assert "retirement@v1.1.0" in inside.out(ON_ORIGIN)
    inside.run("git push -q && rm -rf .dvc/cache")
    inside.run(f"perenne fetch v1.1.0 --out {tmp_path}/v1.1.0")


def test_nobody_sees_a_version_before_its_trial_is_passed(inside: Project) -> None:
    """Nor is it in prod meanwhile; one that fails is none, and may be released another time."""
    improve(inside)
    gate()

    def fails(version: Version) -> str:
        assert version.version == "v1.1.0"
        assert (inside.out(ON_ORIGIN), tags.read("retirement").find("prod").version) == (before, "v1.0.0")
        raise PerenneError("it is too slow")

    before, here = inside.out(ON_ORIGIN), inside.out(TAGS)
    with pytest.raises(PerenneError, match="it is too slow"):
        release(stage="prod", policy_from=None, push=True, dry_run=False, trial=fails)
    assert (inside.out(ON_ORIGIN), inside.out(TAGS)) == (before, here)
    lines = release(
        stage="prod", policy_from=None, push=True, dry_run=False, trial=lambda v: f"tried {v.tag}"
    )
    assert lines == "tried retirement@v1.1.0\nreleased retirement@v1.1.0, retirement#prod#2"
    assert "retirement#prod#2" in inside.out(ON_ORIGIN)


def test_release_that_was_killed_in_its_trial_is_gone_on_with(inside: Project) -> None:
    """The version is here and in no stage: it is tried before it comes into one."""
    improve(inside)
    gate()
    code = (
        "import os; from perenne.release.release import release; "
        "release(stage='prod', policy_from=None, push=True, dry_run=False, trial=lambda _: os._exit(9))"
    )
    inside.run(f'python -c "{code}"', status=9)
    assert "v1.1.0" in inside.out(TAGS)
    assert "v1.1.0" not in inside.out(ON_ORIGIN)
    assert tags.read("retirement").find("prod").version == "v1.0.0"
    tried: list[str] = []

    def passes(version: Version) -> str:
        tried.append(version.tag)
        return "well"

    lines = release(stage="prod", policy_from=None, push=True, dry_run=False, trial=passes)
    assert (lines, tried) == ("well\nreleased retirement#prod#2", ["retirement@v1.1.0"])
    assert {"retirement@v1.1.0", "retirement#prod#2"} <= set(inside.out(ON_ORIGIN).split())


def test_dry_run_shows_and_changes_nothing(inside: Project) -> None:
    """It prints the tags with their messages, and creates none."""
    improve(inside)
    gate()
    before = inside.out(TAGS)
    shown = let_go(dry_run=True)
    assert "would create retirement@v1.1.0" in shown
    assert "train.params.max_iter 3 -> 60" in shown
    assert (inside.out(TAGS), inside.out(ON_ORIGIN)) == (before, inside.out(ON_ORIGIN))


def test_only_a_commit_is_released(inside: Project) -> None:
    """A file that no commit holds would not be in the tag."""
    improve(inside)
    gate()
    inside.write("stages/extra.py", "")
    with pytest.raises(PerenneError, match=r"^stages/extra\.py: not committed"):
        let_go()


def test_no_verdict_no_release(inside: Project) -> None:
    """A model that the gate has not seen is not released."""
    improve(inside)
    with pytest.raises(PerenneError, match="no verdict on this model; run perenne gate"):
        let_go()


def test_rejected_is_not_released(inside: Project) -> None:
    """Nor one that it has rejected."""
    improve(inside, rounds=1)
    gate()
    with pytest.raises(PerenneError, match="its verdict is rejected: not all rules pass"):
        let_go()


def test_verdict_by_another_policy_does_not_count(inside: Project) -> None:
    """A model let through by a policy that was then put back is not released."""
    inside.edit("^  loss: 0.01", "  loss: 0.99")
    inside.edit("intent: auto", "intent: fresher")
    improve(inside, rounds=2)
    assert gate().answer == "eligible"
    inside.edit("^  loss: 0.99", "  loss: 0.01")
    inside.commit("as if nothing had been")
    with pytest.raises(PerenneError, match=r"follows another policy than params\.yaml"):
        let_go()


def test_verdict_on_another_holdout_does_not_count(inside: Project) -> None:
    """The same model, measured on other rows since, must be judged again."""
    improve(inside)
    gate()
    inside.edit("holdout: 4", "holdout: 3")
    inside.edit("as_of: 2019Q4", "as_of: 2019Q3")
    inside.repro()
    inside.commit("a shorter holdout")
    with pytest.raises(PerenneError, match="is for another holdout"):
        let_go()


def clone(company: Project, name: str, rounds: int) -> Project:
    """Return a clone that has a better model, and a verdict on it."""
    company.run(f"git clone -q ../origin.git ../{name}")
    project = Project(company.path.parent / name)
    project.run("dvc pull")
    improve(project, rounds)
    project.run("perenne gate --push")
    return project


def test_who_is_late_must_beat_the_winner(company: Project) -> None:
    """A verdict against yesterday's champion is worth nothing once another is in prod."""
    ada, grace = (clone(company, name, rounds) for name, rounds in (("ada2", 60), ("grace", 50)))
    ada.run("perenne release --push")
    late = grace.run("perenne release --push", status=1)
    assert "compares it with v1.0.0, but v1.1.0 is in prod now; run perenne gate" in late.stderr


def test_race_has_one_winner(company: Project) -> None:
    """Of two releases at the same time one wins; the other leaves no tag, and its error names the winner."""
    clones = [clone(company, name, rounds) for name, rounds in (("ada2", 60), ("grace", 50))]
    before = set(company.out(ON_ORIGIN).split())
    done: dict[int, Any] = {}

    def run(i: int) -> None:
        done[i] = clones[i].run("perenne release --push", status=None)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner, loser = sorted(done, key=lambda i: int(done[i].returncode))
    assert [done[i].returncode for i in (winner, loser)] == [0, 1]
    assert "v1.1.0" in done[loser].stderr
    assert set(company.out(ON_ORIGIN).split()) - before == {"retirement@v1.1.0", "retirement#prod#2"}
    for project in clones:
        project.run("git fetch -q --tags")
    assert len({project.out(f"{TAGS} --sort=refname") for project in clones}) == 1


def test_no_tag_without_its_data(inside: Project) -> None:
    """Where the data cannot be pushed, no tag is made, neither here nor there."""
    improve(inside)
    gate()
    before = inside.out(TAGS), inside.out(ON_ORIGIN)
    storage = inside.path.parent / "home" / "perenne-storage"
    storage.rename(storage.with_name("gone"))
    storage.write_text("not a folder\n")
    with pytest.raises(PerenneError, match="storage"):
        let_go()
    assert (inside.out(TAGS), inside.out(ON_ORIGIN)) == before


def test_clone_without_tags_goes_on_counting(inside: Project, enter: Enter) -> None:
    """It does not start again at the first version."""
    improve(inside)
    gate(share=True)
    inside.run("git push -q && dvc push -q && git clone -q --no-tags ../origin.git ../grace")
    grace = Project(inside.path.parent / "grace")
    grace.run("dvc pull")
    enter(grace)
    assert let_go().startswith("released retirement@v1.1.0, retirement#prod#2")


def test_commands_need_no_more_than_their_names(company: Project) -> None:
    """The tour of a release by the command line."""
    improve(company)
    company.run("perenne gate")
    company.run("perenne release --push")
    assert "v1.1.0" in company.out("perenne models")
    assert [v["version"] for v in json.loads(company.out("perenne models --json"))] == ["v1.1.0", "v1.0.0"]
    company.run("perenne rollback --reason 'a test' --push")
    company.run("perenne fetch prod --out out")
    assert (company.path / "out" / Path("model.skops")).read_bytes() != (
        company.path / "data/model/released.skops"
    ).read_bytes()
