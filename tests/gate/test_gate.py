"""The gate on real commits: which models are compared, by whose policy, and what is recorded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import batches, locked, names
from perenne.common.block import Block
from perenne.common.errors import PerenneError
from perenne.common.status import Status
from perenne.documents.evaluation import Evaluation
from perenne.documents.verdict import ChangeRecord, Verdict
from perenne.gate import holdout_block, judge, ledger
from perenne.gate.comparison import SpentError
from perenne.gate.evidence import Evidence
from perenne.gate.gate import gate
from perenne.gate.judge import evidence
from perenne.pages.verdict import markdown
from tests.conftest import Enter
from tests.project import Project

GOOD = 60  # boosting rounds; the champion has 3


@pytest.fixture
def better(company: Project, enter: Enter) -> Project:
    """Return a company whose commit has a better model than the one in prod, as the current folder."""
    company.edit(r"max_iter: \d+", f"max_iter: {GOOD}")
    company.repro()
    company.commit("more rounds")
    enter(company)
    return company


@pytest.fixture
def inside(company: Project, enter: Enter) -> Project:
    """Return the company as it was released, as the current folder."""
    enter(company)
    return company


def rules(verdict: Verdict) -> dict[tuple[str, str], str]:
    """Return the answer of each rule against each opponent."""
    return {(finding.rule, finding.against): finding.answer for finding in verdict.rules}


@pytest.mark.usefixtures("better")
def test_better_model_is_eligible() -> None:
    """All rules pass, against the champion, which is scored from its own file."""
    verdict = gate()
    assert verdict.answer == "eligible"
    assert (verdict.champion, verdict.intent) == ("v1.0.0", "better")
    assert rules(verdict) == {
        ("floor", "the mean"): "pass",
        ("improvement", "v1.0.0 in prod"): "pass",
        ("slices", "v1.0.0 in prod"): "pass",
        ("latency", "v1.0.0 in prod"): "pass",
        ("size", "v1.0.0 in prod"): "pass",
    }


@pytest.mark.usefixtures("better")
def test_a_holdout_of_few_blocks_is_undecided_and_costs_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much better the model is; it says how many more there must be, and alpha is all there still."""
    with monkeypatch.context() as few:
        few.setattr(holdout_block, "block_of", lambda *_: Block(part="day"))
        verdict = gate()
    assert (verdict.answer, verdict.holdout.blocks) == ("undecided", 3)
    assert verdict.why == "3 blocks are too few to tell, it takes about 8 more; no look was made"
    assert (verdict.more_blocks, verdict.alpha) == (8, None)
    assert set(rules(verdict)) == {("latency", "v1.0.0 in prod"), ("size", "v1.0.0 in prod")}
    assert gate().answer == "eligible"


@pytest.mark.usefixtures("better")
def test_what_whole_periods_share_is_measured_on_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both models score these rows; the challenger's own predictions there are those of its folds."""
    seen: list[Evidence | None] = []

    def spied(*given: Any, before: Evidence | None = None, **named: Any) -> Evidence:
        seen.append(before)
        return evidence(*given, before=before, **named)

    with monkeypatch.context() as patched:
        block = Block(columns=("employee",), beside="quarter")
        patched.setattr(holdout_block, "block_of", lambda *_: block)
        patched.setattr(judge, "evidence", spied)
        assert gate().answer == "eligible"
    predictions = batches.read_parquet(names.PREDICTIONS)
    used = [each for each in seen if each is not None]
    assert len(used) == len(seen) - 1  # that of validation itself
    for each in used:
        assert np.array_equal(each.challenger.scores, predictions[names.PREDICTION])
        assert [who.name for who in each.opponents] == ["v1.0.0 in prod"]
        assert each.periods is not None
        assert len(each.opponents[0].scores) == len(predictions) == len(each.periods.codes)


def test_worse_model_is_rejected(inside: Project) -> None:
    """It would pass if its scores were right, and it does not; by which rule stays sealed."""
    inside.edit(r"max_iter: \d+", "max_iter: 1")
    inside.repro()
    verdict = gate()
    assert verdict.answer == "rejected"
    assert verdict.why.startswith("not all rules pass; were its scores right, ")
    assert set(rules(verdict).values()) == {"sealed", "pass"}


def test_verdict_tells_nothing_of_the_labels_but_whether_all_rules_pass(
    inside: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all labels turned round a model that is not eligible has the same verdict, to the last digit."""
    inside.edit(r"max_iter: \d+", "max_iter: 2")
    inside.repro()
    read = batches.read_parquet

    def turned(path: Path) -> pd.DataFrame:
        rows = read(path)
        return rows.assign(retires=1 - rows["retires"]) if path == names.HOLDOUT else rows

    before = inside.out("git rev-parse refs/notes/perenne").strip()
    verdicts = [gate(offline=True)]
    inside.run("git update-ref -d refs/perenne/notes")  # the clone forgets
    inside.run(f"git update-ref refs/notes/perenne {before}")  # the same number of looks, so the same alpha
    monkeypatch.setattr(batches, "read_parquet", turned)
    verdicts.append(gate(offline=True))
    hidden = [verdict.to_json() for verdict in verdicts]
    for content in hidden:
        del content["holdout"]["batches"], content["holdout"]["sketch"]
        content["rules"] = [rule for rule in content["rules"] if rule["rule"] != "latency"]  # it is timed
    assert verdicts[0].holdout.batches != verdicts[1].holdout.batches
    assert verdicts[0].answer != "eligible"
    assert hidden[0] == hidden[1]
    assert not {"metrics", "opponents"} & hidden[0].keys()


def test_eligible_verdict_has_no_figures_either(better: Project) -> None:
    """They would help the next challenger on the same holdout."""
    content = gate().to_json()
    assert not {"metrics", "opponents"} & content.keys()
    sealed = [rule for rule in content["rules"] if rule["rule"] not in ("latency", "size")]
    assert {rule["value"] for rule in sealed} == {rule["low"] for rule in sealed} == {None}
    assert better


def test_no_look_is_made_where_a_rule_without_labels_does_not_pass(better: Project) -> None:
    """A model that is too large costs no alpha, and the verdict says by how much it is."""
    better.edit(r"size: \{max_ratio: \d+", "size: {max_ratio: 0.01")
    before = len(better.out("git log --format=%h refs/notes/perenne").split())
    verdict = gate()
    assert (verdict.answer, verdict.alpha) == ("rejected", None)
    assert verdict.why == "size against v1.0.0 in prod; no look was made"
    assert next(f.value for f in verdict.rules if f.rule == "size") or 0 > 0.01
    assert len(better.out("git log --format=%h refs/notes/perenne").split()) == before + 1, "the verdict"
    better.edit(r"size: \{max_ratio: 0.01", "size: {max_ratio: 9")
    after = gate().alpha
    assert after is not None
    assert after.look == 2


def test_whoever_opens_the_holdout_sees_all_and_closes_it(better: Project) -> None:
    """The look that opens it still counts; the next model cannot be proven on these rows."""
    done = better.run("perenne gate --open --json verdict.json")
    assert "the holdout is open: no other model can be proven on it" in done.stdout
    verdict = Verdict.load(better.path / "verdict.json")
    assert verdict.opened
    assert verdict.metrics["log_loss"].value
    assert verdict.opponents[0].metrics["log_loss"].gain.value
    assert all(finding.value is not None for finding in verdict.rules)
    assert rules(gate()) == rules(verdict), "the same look again is free"
    better.edit(r"max_iter: \d+", "max_iter: 50")
    better.repro()
    for opening in (False, True):
        with pytest.raises(
            SpentError, match=r"holdout\.parquet: a batch of it was opened; move split\.as_of"
        ):
            gate(opening=opening)


def test_a_contract_without_a_block_gets_the_one_that_validation_asks_for(better: Project) -> None:
    """The one that `evaluate` found; the verdict and its page say which."""
    better.edit(r"role: \[entity, block\]", "role: entity", file="data/cases/retirement/contract.yaml")
    better.repro()
    verdict, measured = gate(), Evaluation.load(names.EVALUATION).dependence
    assert measured is not None
    assert (measured.source, list(measured.sharing)) == ("measured", ["employee", "quarter"])
    rows = pd.read_parquet(names.HOLDOUT)
    blocks = rows["employee"].nunique() if measured.block.columns else len(rows)
    assert (verdict.holdout.blocks, verdict.holdout.block) == (blocks, measured.block.why)
    assert measured.block.why in markdown(verdict)


def test_the_champion_does_not_beat_itself(inside: Project) -> None:
    """A change that leaves the model as it is is nothing to judge, and costs no look."""
    inside.write("NEWS.md", "words\n")
    inside.commit("words")
    verdict = gate()
    assert (verdict.answer, verdict.why) == ("unchanged", "this is v1.0.0, nothing to judge")
    assert gate().answer == "unchanged"
    assert verdict.alpha is None
    assert "alpha" not in verdict.to_json()


def test_only_newer_data_need_only_be_as_good(inside: Project) -> None:
    """Moving `as_of` alone needs a fresher model; a hyperparameter as well needs a better one."""
    inside.edit("as_of: 2019Q4", "as_of: 2020Q1")
    inside.repro()
    assert gate().intent == "fresher"
    inside.edit(r"max_iter: \d+", "max_iter: 4")
    inside.repro()
    assert gate().intent == "better"


def test_comment_in_the_code_does_not_change_the_question(inside: Project) -> None:
    """The same bytes come of it, so it is the same recipe; of a change that is not merged that is a claim."""
    before = inside.out("git rev-parse HEAD").strip()
    inside.edit(r"\Z", "# a comment\n", "stages/perenne/common/cut.py")
    inside.repro()
    inside.commit("a comment")
    inside.edit("as_of: 2019Q4", "as_of: 2020Q1")
    inside.repro()
    verdict = gate()
    assert verdict.change == ChangeRecord(kind="patch", reasons=("split.as_of 2019Q4 -> 2020Q1",))
    assert verdict.intent == "fresher"
    assert gate(policy_from=before).intent == "better"


def test_first_model_has_no_champion(project: Project, enter: Enter) -> None:
    """Only absolute rules apply to a first release, and the verdict says so."""
    enter(project)
    verdict = gate()
    assert verdict.champion is None
    assert {rule for rule, _ in rules(verdict)} == {"floor", "calibration"}
    assert "a first release" in verdict.why


def test_base_must_be_beaten_as_well(better: Project) -> None:
    """A change that undoes the base's gain is better than prod, and still not eligible."""
    better.edit(r"max_iter: \d+", "max_iter: 12")
    better.repro()
    assert gate().answer == "eligible"
    against_base = gate(base="HEAD")
    assert against_base.answer != "eligible"
    base = better.out("git rev-parse HEAD").strip()
    assert against_base.base == base
    assert rules(against_base)["improvement", f"base {base[:7]}"] != "pass"


def test_policy_of_the_change_does_not_count(inside: Project) -> None:
    """A change that loosens the gate is judged by the policy of the base; by its own it would pass."""
    inside.edit(r"max_iter: \d+", "max_iter: 1")
    inside.edit("intent: auto", "intent: fresher")
    inside.edit(r"^  loss: 0.01", "  loss: 0.99")
    inside.repro()
    assert gate().answer == "eligible"
    assert gate(policy_from="HEAD").answer == "rejected"


def test_committed_metrics_are_not_believed(project: Project, enter: Enter) -> None:
    """Forged metrics change nothing: models are scored again."""
    enter(project)
    honest = gate(opening=True)
    for file in ("metrics", "evaluation"):
        project.write(f"data/reports/{file}.json", '{"log_loss": 0.0}\n')
    project.run("dvc commit -f -q evaluate")
    forged = gate(opening=True)
    assert forged.metrics == honest.metrics
    assert rules(forged) == rules(honest)


def test_the_dummy_is_measured_and_not_believed(better: Project) -> None:
    """A card that says that the dummy knows nothing makes no floor easier."""
    honest = gate(opening=True)
    card = json.loads(better.read("data/model/model.json"))
    better.write("data/model/model.json", json.dumps(card | {"mean_target": 0.999}))
    better.run("dvc commit -q -f train refit evaluate")
    again = gate(opening=True)
    floor = [
        next(finding for finding in verdict.rules if finding.rule == "floor") for verdict in (honest, again)
    ]
    assert floor[0].value == floor[1].value


def test_model_in_prod_is_nothing_to_judge(inside: Project) -> None:
    """It is neither better nor worse than itself: no look is made, and the command ends well."""
    before = inside.out("git for-each-ref refs/notes")
    done = inside.run("perenne gate --json verdict.json --markdown verdict.md", status=Status.DONE)
    assert done.stdout == "retirement: this is v1.0.0, nothing to judge\n"
    assert Verdict.load(inside.path / "verdict.json").answer == "unchanged"
    assert inside.read("verdict.md") == "⬜ **retirement: this is v1.0.0, nothing to judge**\n"
    assert inside.out("git for-each-ref refs/notes") == before


def test_looks_are_counted(better: Project) -> None:
    """Another challenger on the same holdout is the next look; the same one again is not."""

    def look() -> int | None:
        alpha = gate().alpha
        return alpha.look if alpha else None

    assert look() == 2, "the first release was the first look"
    assert look() == 2
    better.edit(r"max_iter: \d+", "max_iter: 50")
    better.repro()
    third = gate().alpha
    assert third is not None
    assert third.look == 3
    assert 0 < third.left < third.total


def test_looks_are_pushed_unless_the_user_is_offline(better: Project) -> None:
    """Else each clone begins with the first look; a remote that does not take it says how to go on."""

    def there() -> str:
        return better.out("git ls-remote origin refs/notes/perenne").split()[0]

    before = there()
    assert gate(offline=True).answer == "eligible"
    assert there() == before
    better.edit(r"max_iter: \d+", "max_iter: 50")
    better.repro()
    better.run("perenne gate")
    assert there() == better.out("git rev-parse refs/notes/perenne").strip()
    better.write("../origin.git/hooks/pre-receive", "#!/bin/sh\nexit 1\n")
    better.run("chmod +x ../origin.git/hooks/pre-receive")
    better.edit(r"max_iter: \d+", "max_iter: 40")
    better.repro()
    refused = better.run("perenne gate", status=Status.FAILED).stderr
    assert refused.startswith("error: refs/notes/perenne: the look cannot be pushed, so it was not made: ")
    assert refused.count("\n") == 1
    assert gate(offline=True).alpha is not None


def test_a_clone_without_tags_or_notes_finds_both(better: Project, enter: Enter) -> None:
    """Tags and looks are fetched first: else the gate would start again."""
    better.run("git push -q && dvc push -q")
    better.run(f"git clone -q --no-tags --depth 1 file://{better.path.parent}/origin.git ../grace")
    grace = Project(better.path.parent / "grace")
    grace.run("dvc pull")
    enter(grace)
    verdict = gate()
    assert (verdict.champion, verdict.answer) == ("v1.0.0", "eligible")
    assert verdict.alpha is not None
    assert verdict.alpha.look == 2


def test_batches_that_validation_has_shown_judge_nothing(better: Project) -> None:
    """A shorter holdout on a branch has shown the first quarter; a later `as_of` shows all of them."""
    before = gate()
    assert (list(before.holdout.batches), before.holdout.shown) == (["2019Q1", "2019Q2", "2019Q3"], {})
    better.run("git checkout -q -b try")
    better.edit("holdout: 4", "holdout: 2")
    better.commit("let us see")
    better.run("git checkout -q main")
    branch = better.out("git rev-parse try").strip()
    verdict = gate()
    assert list(verdict.holdout.batches) == ["2019Q2", "2019Q3"]
    assert verdict.holdout.shown == {"2019Q1": branch}
    assert verdict.holdout.rows < before.holdout.rows
    assert verdict.alpha is not None
    assert verdict.alpha.look == 3, "other batches are another look"
    assert f"left out, as validation of {branch[:7]} has shown their labels: 2019Q1" in markdown(verdict)
    better.run("git checkout -q try")
    better.edit("as_of: 2019Q4", "as_of: 2020Q4")
    better.commit("later")
    better.run("git checkout -q main")
    with pytest.raises(SpentError) as caught:
        gate()
    assert re.fullmatch(
        r"data/split/holdout\.parquet: 2019Q1 to 2019Q3 was in the window of commit [0-9a-f]{7}(, .{7})?, "
        r"so its labels are known; move split\.as_of",
        str(caught.value),
    )


def test_stale_results_cannot_be_judged(inside: Project) -> None:
    """The model must be that of the params beside it."""
    inside.edit(r"max_iter: \d+", "max_iter: 9")
    with pytest.raises(PerenneError, match=r"train.*dvc repro"):
        gate()


def test_lost_champion_cannot_be_judged_against(better: Project) -> None:
    """A champion whose file is lost was not beaten."""
    md5 = locked.load("retirement@v1.0.0").out(names.MODEL).md5
    for place in (".dvc/cache", "../home/perenne-storage"):
        (better.path / place / "files" / "md5" / md5[:2] / md5[2:]).unlink()
    with pytest.raises(PerenneError, match=r"model\.skops of .*perenne restore"):
        gate()


def test_missing_policy_is_no_policy(inside: Project) -> None:
    """Without rules nothing is ever eligible."""
    text = inside.read("params.yaml")
    inside.write("params.yaml", text[: text.index("gate:")])
    with pytest.raises(PerenneError, match=r"params\.yaml: gate: missing"):
        gate()
    inside.write("params.yaml", text[: text.index("  rules:")] + "  rules: {}\n")
    with pytest.raises(PerenneError, match=r"params\.yaml: gate\.rules: no rule is configured"):
        gate()


def test_champion_of_a_wider_contract_is_an_error(inside: Project) -> None:
    """A column that the champion needs may go only after a model without it is in prod."""
    contract = "data/cases/retirement/contract.yaml"
    inside.edit(
        "hardship:     {type: boolean, role: feature", "hardship:     {type: boolean, role: ignored", contract
    )
    inside.repro()
    change = gate().change
    assert change is not None
    assert change.kind == "major"
    inside.edit("  absence_days: .*\n", "", contract)
    failed = inside.run("dvc repro && perenne gate", status=None)
    assert failed.returncode == Status.FAILED
    assert "columns.absence_days: found none, but v1.0.0 in prod is scored with a number" in failed.stderr


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "metric: log_loss",
            "metric: logloss",
            "gate.metric: no paired test for 'logloss' in a binary task; did you",
        ),
        (
            "floor: {min_gain",
            "floor: {min_gian",
            "gate.rules.floor.min_gian: unknown key; did you mean 'min_gain'",
        ),
        ("^  loss: 0.01", "  los: 0.01", "tolerance.los: unknown key; did you mean 'loss'"),
        ("alpha: 0.05", "alpha: 5", "gate.alpha: found 5, must be less than 0.5"),
    ],
)
def test_mistake_in_the_policy_is_one_line(inside: Project, old: str, new: str, line: str) -> None:
    """It names the file, the key, the value and what would be accepted."""
    inside.edit(old, new)
    with pytest.raises(PerenneError) as caught:
        gate()
    assert str(caught.value).startswith(f"params.yaml: {line}")


def test_bug_is_no_verdict(inside: Project) -> None:
    """A traceback ends with Python's own status, which no answer shares."""
    inside.edit("def gate\\(", "def gone(", "stages/perenne/gate/gate.py")
    done = inside.run("perenne gate", status=Status.FAILED)
    assert "Traceback" in done.stderr
    assert "has no attribute 'gate'" in done.stderr


def test_command_prints_writes_and_exits(better: Project) -> None:
    """A table, JSON, Markdown; the exit status is that of the answer."""
    done = better.run("perenne gate --json verdict.json --markdown verdict.md")
    assert done.stdout.startswith("retirement: eligible: all rules pass")
    verdict = Verdict.load(better.path / "verdict.json")
    assert verdict.answer == "eligible"
    assert better.read("verdict.md") == markdown(verdict)
    assert ledger.verdicts(verdict.challenger.sha256) == [verdict]
    better.edit("improvement: {min_gain: 0}", "improvement: {min_gain: 0.03}")
    better.edit(r"max_iter: \d+", "max_iter: 4")
    better.repro()
    assert better.run("perenne gate", status=None).returncode in (Status.REJECTED, Status.UNDECIDED)
    assert better.run("perenne gate --base nothing", status=Status.FAILED).stderr.startswith(
        "error: 'nothing' is not a commit here"
    )
