"""Several classes before the gate: each is judged by itself, by its name, and none by its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import special, stats

from perenne.common import predicted
from perenne.common.block import Block
from perenne.common.errors import PerenneError
from perenne.common.params import Tolerance
from perenne.gate import contenders, judge, ledger, refitted, sealed, worlds
from perenne.gate.contenders import Loaded
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import Finding
from perenne.gate.holdout_block import block_of
from perenne.gate.policy import Policy, paired
from perenne.gate.rules import Calibration, Floor, Improvement, Rules, Slices
from perenne.gate.worlds import Scatter
from tests import classes

Array = npt.NDArray[np.float64]

CROPS = classes.contract()
MEAN = (0.5, 0.35, 0.15)
ALPHA = 0.05
RULES = Rules(floor=Floor(), improvement=Improvement(), calibration=Calibration())


def noisy(scores: Array, seed: int, sd: float = 0.3) -> Array:
    """Return the scores of a model whose log odds are off by chance."""
    odds = np.log(scores) + np.random.default_rng([seed, 1]).normal(0, sd, scores.shape)
    return np.asarray(special.softmax(odds, axis=1))


def evidence(rows: pd.DataFrame, new: Array, *old: Array, **changes: Any) -> Evidence:
    """Return evidence on rows of the case; the first opponent is the champion."""
    policy = Policy(metric="log_loss", rules=RULES, tolerance=Tolerance(calibration=0.1))
    usual: dict[str, Any] = {"mean": MEAN, "policy": policy, "alpha": ALPHA}
    return judge.evidence(
        rows,
        CROPS,
        Block(),
        Contender("the challenger", new),
        [Contender("v1.0.0", scores) for scores in old],
        champion=bool(old),
        **(usual | changes),
    )


def calibration(rows: pd.DataFrame, new: Array, *old: Array, **changes: Any) -> Finding:
    """Return what the rule says."""
    (finding,) = Calibration().judge(evidence(rows, new, *old, **changes), "better")
    return finding


def answers(finding: Finding) -> dict[str, str]:
    """Return the answer of each class."""
    return {part.against: part.answer for part in finding.parts}


def most(share: float, runs: int) -> int:
    """Return how many of so many runs a chance of so much hits at most, in 99 % of all cases."""
    return int(stats.binom.ppf(0.99, runs, share))


def test_equal_models_seldom_pass_for_better() -> None:
    """In 400 worlds, on 400 rows: at most a twentieth of pairs whose scores are off by as much."""
    runs, passed, floor = 400, 0, 0
    rows = classes.fields("2021-01", 0, runs * 400)
    right = classes.chances(rows)
    new, old = noisy(right, 1), noisy(right, 2)
    for world in np.split(np.arange(len(rows)), runs):
        seen = evidence(rows.iloc[world], new[world], old[world])
        (useful,), (better,) = (rule.judge(seen, "better") for rule in (Floor(), Improvement()))
        floor += useful.answer == "pass"
        passed += better.answer == "pass"
    assert 2 < passed <= most(ALPHA, runs)
    assert floor > 0.9 * runs, "the same rows show that both beat the shares of the classes"


@pytest.mark.parametrize("metric", ["log_loss", "brier", "roc_auc", "accuracy"])
def test_gate_decides_by_each_metric_of_the_task(metric: str) -> None:
    """By its own paired test: a right model is better than a noisy one, which is not better than it."""
    assert metric in paired(CROPS.task)
    rows = classes.fields("2021-01", 1, 4000)
    right = classes.chances(rows)
    policy = Policy(metric=metric, rules=RULES)
    for new, old, answer in ((right, noisy(right, 1, 1.2), "pass"), (noisy(right, 1, 1.2), right, "fail")):
        (found,) = Improvement().judge(evidence(rows, new, old, policy=policy), "better")
        assert found.answer == answer


def test_gain_is_a_share_of_what_the_shares_of_the_classes_lose() -> None:
    """By hand: mean -log of what each row's class was given."""
    rows = classes.fields("2021-01", 2, 500)
    scores = [classes.chances(rows), noisy(classes.chances(rows), 2)]
    place = rows["crop"].map({name: k for k, name in enumerate(classes.CROPS)}).to_numpy()
    new, old = (-np.log(each[np.arange(500), place]).mean() for each in scores)
    dummy = -np.log(np.array(MEAN)[place]).mean()
    seen = evidence(rows, *scores)
    assert seen.gain(seen.opponents[0]).value == pytest.approx((old - new) / dummy)
    sand = np.flatnonzero(rows["soil"] == "sand")
    (found,) = Slices(min_blocks=30, margin=1).judge(seen, "better")
    by_slice = {part.against: part.value for part in found.parts}
    new, old, dummy = (
        -np.log(each[sand, place[sand]]).mean() for each in (*scores, predicted.repeated(MEAN, 500))
    )
    assert by_slice["soil=sand"] == pytest.approx((old - new) / dummy)


def test_right_model_passes_and_one_that_is_wrong_for_a_class_fails_by_its_name() -> None:
    """On 4,000 rows, within a tenth: a right one in most worlds; log odds of rye + .5 in hardly any."""
    runs, passed, failed = 40, 0, 0
    for seed in range(runs):
        rows = classes.fields("2021-01", seed, 4000)
        passed += calibration(rows, classes.chances(rows)).answer == "pass"
        wrong = calibration(rows, classes.chances(rows, np.array([0, 0, 0.5])))
        failed += wrong.answer == "fail" and wrong.says.startswith("worst of 3 classes: rye, ")
        assert answers(wrong)["rye"] == "fail"
    assert passed >= 0.8 * runs
    assert failed == runs


def test_every_class_is_observed_over_expected_by_itself() -> None:
    """By hand, for each of the three."""
    rows = classes.fields("2021-01", 5, 3000)
    scores = noisy(classes.chances(rows), 5)
    found = calibration(rows, scores)
    for place, name in enumerate(classes.CROPS):
        part = found.parts[place]
        assert part.against == name
        assert part.value == pytest.approx((rows["crop"] == name).sum() / scores[:, place].sum())
        assert part.says.startswith("observed / expected")
    assert found.against == "observed / expected"


def test_model_that_is_right_but_for_a_class_does_not_pass() -> None:
    """However many others are right: in worlds whose ratio lies at the limit, at most alpha may pass."""
    runs, passed = 200, 0
    rows = classes.fields("2021-01", 0, 4000)
    scores = classes.chances(rows)
    fewer = scores + scores[:, 2:] * [0.1, 0, -0.1]  # of rye, .9 of what is expected
    rng, none = np.random.default_rng(0), Scatter(0.0, np.array([]))
    for _ in range(runs):
        y = worlds.outcomes(CROPS.task, fewer, np.arange(len(rows)), none, rng)
        passed += calibration(rows.assign(crop=predicted.values(y, CROPS)), scores).answer == "pass"
    assert 2 < passed <= most(ALPHA, runs)


def test_failing_is_corrected_for_the_number_of_classes() -> None:
    """A class that is just proven wrong by itself is not, where it is one of several questions."""
    rows = classes.fields("2021-01", 7, 4000)
    chances = classes.chances(rows)
    came = (rows["crop"] == "rye").sum()

    def judged(times: float) -> tuple[str, str]:
        scores = chances.copy()
        scores[:, 2] = np.minimum(scores[:, 2] * came / scores[:, 2].sum() * times, 1)
        found = calibration(rows, scores, alpha=0.045)
        alone = Finding(*found.parts[2])
        return alone.answer, "outside" if alone.high < 0.9 else "open"

    by_times = [judged(times) for times in np.linspace(1.1, 1.4, 61)]
    assert ("undecided", "outside") in by_times
    assert ("fail", "outside") in by_times
    assert ("fail", "open") not in by_times


def rare(rows: int, share: float, seed: int = 0) -> tuple[pd.DataFrame, Array]:
    """Return rows with a class of a small share, and the right model of them."""
    frame = classes.fields("2021-01", seed, rows)
    left = (1 - share) * (chances := classes.chances(frame))[:, :2] / chances[:, :2].sum(axis=1)[:, None]
    scores = np.column_stack([left, np.full(rows, share)])
    draws = np.random.default_rng([seed, 2]).random((rows, 1))
    places = (scores.cumsum(axis=1)[:, :2] < draws).sum(axis=1)
    return frame.assign(crop=np.array(classes.CROPS)[places]), scores


def test_rare_class_does_not_keep_every_model_out() -> None:
    """Too few to tell, or too few for any model within ten holdouts: named, and not judged."""
    strict = Policy(metric="log_loss", rules=RULES, tolerance=Tolerance(calibration=0.05))
    for share, why in (
        (0.001, "too few to tell"),
        (0.008, "no model can be proven that near on 8,000 blocks"),
    ):
        found = calibration(*rare(8000, share), policy=strict)
        assert (found.answer, answers(found)["rye"]) == ("pass", "not judged")
        assert found.says.endswith("; too few rows to judge rye")
        assert found.parts[2].says == f"observed / expected: {why}"


def test_rare_class_can_still_fail() -> None:
    """Forty came where a hundred are expected, or a hundred where hardly any is."""
    rows, right = rare(3000, 0.02)
    for times in (3, 0.01):
        found = calibration(rows, right * [1, 1, times])
        assert answers(found)["rye"] == "fail"
        assert found.says.startswith("worst of 3 classes: rye")


def test_class_that_a_longer_holdout_would_prove_is_waited_for() -> None:
    """With the number of blocks: it is not so rare that nobody would wait for it."""
    rows = classes.fields("2021-01", 0, 700)
    found = calibration(rows, classes.chances(rows))
    assert (found.answer, answers(found)["rye"]) == ("undecided", "undecided")
    assert found.parts[2].says == "observed / expected: no model can be proven that near on 700 blocks"
    assert 0 < found.more_blocks < 10 * 700
    assert found.more_blocks == max(part.more_blocks for part in found.parts)


def test_without_a_class_that_can_be_judged_nothing_passes() -> None:
    """Few rows prove nothing; the finding says how many more would for one class."""
    strict = Policy(metric="log_loss", rules=RULES, tolerance=Tolerance(calibration=0.05))
    for number in (30, 45):
        rows = classes.fields("2021-01", 0, number)
        found = calibration(rows, classes.chances(rows), policy=strict)
        assert found.answer == "undecided"
        assert found.says == "none of 3 classes has rows enough for any model to be proven right"
        assert set(answers(found).values()) == {"not judged"}
        assert 10 * number < found.more_blocks < 10_000


def test_class_may_pass_beside_the_champion() -> None:
    """What moves both models alike cancels: 1,200 rows are enough for a model as near as the champion."""
    rows = classes.fields("2021-01", 0, 1200)
    right = classes.chances(rows)
    found = calibration(rows, right, noisy(right, 3))
    assert found.answer == "pass"
    assert found.parts[2].says == "v1.0.0: how much nearer its observed / expected is"
    wrong = calibration(rows, classes.chances(rows, np.array([0, 0, 0.8])), noisy(right, 3))
    assert answers(wrong)["rye"] == "fail"


def test_refitted_model_is_compared_class_by_class() -> None:
    """One class off is enough, and the sentence does not say which: that would tell of the labels."""
    rows = classes.fields("2021-01", 4, 4000)
    right = classes.chances(rows)
    lenient = Policy(metric="log_loss", rules=RULES, tolerance=Tolerance(calibration=0.1, loss=0.9))
    seen = evidence(rows, right, policy=lenient)
    assert refitted.unlike(seen, Contender("as right", noisy(right, 4, 0.05))) == ""
    off = Contender("off", classes.chances(rows, np.array([0, 0, 0.5])))
    said = refitted.unlike(seen, off)
    assert said.endswith("its observed / expected is farther off than the tolerance")
    assert refitted.unlike(evidence(rows, off.scores, policy=lenient), off) == "", (
        "the proven one is as far off"
    )


def test_hash_of_the_labels_depends_on_them_and_on_nothing_else() -> None:
    """Not on the order of the contract's values, nor on one more of them; on each label, and its row."""
    rows = classes.fields("2021-01", 4, 50)
    before = ledger.hashes(rows, CROPS)
    for values in ("[rye, wheat, maize]", "[barley, wheat, maize, rye]"):
        assert ledger.hashes(rows, classes.contract("[wheat, maize, rye]", values)) == before
    assert ledger.hashes(rows.sample(frac=1, random_state=1), CROPS) == before
    other = "rye" if rows.loc[0, "crop"] != "rye" else "wheat"
    changed = rows.assign(crop=rows["crop"].where(rows.index != 0, other))
    assert ledger.hashes(changed, CROPS).keys() == before.keys()
    assert ledger.hashes(changed, CROPS) != before
    numbers = classes.contract(
        "crop: {type: category, role: target, values: [wheat, maize, rye]}",
        "crop: {type: integer, role: target, values: [1, 2, 3]}",
    )
    counted = rows.assign(crop=rows["crop"].map({"wheat": 1, "maize": 2, "rye": 3}))
    assert ledger.hashes(counted, numbers) != before


@pytest.mark.parametrize("shared", [0.0, 0.7])
def test_what_blocks_share_is_measured_and_drawn_again(shared: float) -> None:
    """Outcomes whose log odds have such an effect in 400 blocks, and the shares that the scores say."""
    rng = np.random.default_rng(5)
    score = rng.dirichlet([8, 1.5, 0.5], 40_000)
    labels = np.arange(40_000) % 400
    y = worlds.outcomes(CROPS.task, score, labels, Scatter(shared, np.array([])), rng)
    rows = predicted.assign(pd.DataFrame({"id": labels, "crop": predicted.values(y, CROPS)}), score, CROPS)
    measured = worlds.scatter(rows, CROPS, Block(columns=("id",)))
    assert measured.shared == pytest.approx(shared, abs=0.12)  # to first order
    assert not len(measured.alone)
    assert np.bincount(y.astype(int)) / len(y) == pytest.approx(score.mean(axis=0), abs=0.015)


def test_worlds_tell_nothing_of_the_labels() -> None:
    """The same outcomes are drawn whatever came, each a word of the contract."""
    score = np.random.default_rng(1).dirichlet([1, 1, 1], 50)
    none = Scatter(0.0, np.array([]))
    one, other = (
        [
            rows["crop"].tolist()
            for rows in sealed.drawn(pd.DataFrame({"crop": [crop] * 50}), score, CROPS, Block(), none)
        ]
        for crop in ("wheat", "rye")
    )
    assert one == other
    assert {crop for world in one for crop in world} == set(classes.CROPS)
    certain = np.eye(3)
    drawn = worlds.outcomes(CROPS.task, certain, np.arange(3), none, np.random.default_rng(0))
    assert drawn.tolist() == [0, 1, 2]


def test_model_that_promises_more_than_is_seen_is_rejected() -> None:
    """Were its scores right, the same rules would pass in most worlds: with rows enough it is an answer."""
    rows = classes.fields("2021-01", 3, 4000)
    right = classes.chances(rows)
    old = noisy(right, 3, 0.8)

    def found(world: pd.DataFrame) -> tuple[Finding, ...]:
        policy = Policy(metric="log_loss", rules=RULES, tolerance=Tolerance(calibration=0.15))
        return judge.judge(evidence(world, right, old, policy=policy), policy, "better").findings

    none = Scatter(0.0, np.array([]))
    foresight = sealed.foreseen(sealed.drawn(rows, right, CROPS, Block(), none), found)
    assert foresight.passes >= 0.8
    assert sealed.answered(foresight, 4000).answer == "rejected"


def test_block_is_what_the_class_that_shares_most_asks_for() -> None:
    """Days with rain have more rye: nothing of it shows in wheat, whose chance is known."""
    rng = np.random.default_rng(3)
    days, each = 120, 30
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.repeat(np.arange(days), each), unit="D")
    rainy = np.repeat(rng.random(days) < 0.5, each)
    wheat, rye = rng.random(len(when)) < 0.5, rng.random(len(when)) < np.where(rainy, 0.7, 0.3)
    crop = np.where(wheat, "wheat", np.where(rye, "rye", "maize"))
    rows = pd.DataFrame({"id": np.arange(len(when)), "seen": when, "soil": "clay", "crop": crop})
    scored = predicted.assign(rows, np.tile([0.5, 0.25, 0.25], (len(rows), 1)), CROPS)
    found = block_of(CROPS, rows.drop(columns="crop"), scored)
    assert (found.part, found.span) == ("day", 1)
    mixed = scored.assign(crop=rng.permutation(crop))
    assert block_of(CROPS, rows, mixed).kind == "row"


class Fixed:
    """A model that gives every row the same chances."""

    def __init__(self, *chances: float) -> None:
        self.chances = chances

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return them, shape (rows, classes)."""
        return np.tile(self.chances, (len(X), 1)).astype(np.float64)

    def __getitem__(self, step: int) -> Fixed:
        """Return the step of a pipeline: it is its own only one."""
        return self


class Broken(Fixed):
    """A model that gives no number where it rained so much."""

    def __init__(self, at: Array, *chances: float) -> None:
        super().__init__(*chances)
        self.at = at

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """Return them, shape (rows, classes)."""
        chances = super().predict_proba(X)
        chances[np.isin(X["rain"], self.at)] = np.nan
        return chances


def loaded(model: Any, contract: Any = CROPS) -> Loaded:
    """Return a model as it was loaded."""
    return Loaded("v1.0.0 in prod", model, "0" * 64, contract, 1)


def test_model_whose_contract_names_the_classes_in_another_order_is_compared() -> None:
    """Its probabilities are put into the order of the challenger's contract."""
    rows = classes.fields("2021-01", 1, 5)
    other = classes.contract("[wheat, maize, rye]", "[rye, wheat, maize]")
    contender = contenders.contender(loaded(Fixed(0.1, 0.6, 0.3), other), rows, CROPS)
    assert contender.scores.tolist() == [[0.6, 0.3, 0.1]] * 5


def test_model_of_other_classes_is_another_model() -> None:
    """One line says which, and what would do."""
    other = classes.contract("[wheat, maize, rye]", "[wheat, maize, rye, oats]")
    with pytest.raises(PerenneError) as caught:
        contenders.must_fit(loaded(Fixed(), other), CROPS)
    assert str(caught.value) == (
        "contract: columns.crop: found the classes maize, rye, wheat, but v1.0.0 in prod knows maize, oats, "
        "rye, wheat: they cannot be compared; make a new case for other classes"
    )


@pytest.mark.parametrize(("broken", "where"), [([2], "row 2: "), ([0, 1, 2, 3, 4], "")])
def test_score_that_is_not_a_number_is_refused(broken: list[int], where: str) -> None:
    """It names the row, counted from 0, if it is not all of them."""
    rows = classes.fields("2021-01", 1, 5)
    at = rows["rain"].iloc[broken].to_numpy()
    said = f"v1.0.0 in prod: {where}the model: predict_proba does not give a number for each row"
    with pytest.raises(PerenneError) as caught:
        contenders.scores(loaded(Broken(at, 0.5, 0.3, 0.2)), rows)
    assert str(caught.value) == said
