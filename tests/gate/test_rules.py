"""What the rules answer, each in all the ways it can."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.params import Tolerance
from perenne.common.task import BINARY, REGRESSION
from perenne.documents.verdict import Intent, RuleAnswer
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import Finding
from perenne.gate.judge import judge, slices
from perenne.gate.policy import Policy
from perenne.gate.race import Race
from perenne.gate.rules import (
    Calibration,
    Floor,
    Improvement,
    Latency,
    Rule,
    Rules,
    Size,
    Slices,
)
from tests.tiny import contract

ROWS = 2000
RNG = np.random.default_rng(5)
TRUTH = RNG.uniform(0.05, 0.95, ROWS)
Y = (RNG.random(ROWS) < TRUTH).astype(float)
BLOCKS = np.arange(ROWS) // 2
GOOD = Contender("good", TRUTH)
NOISY = Contender("noisy", np.clip(TRUTH + RNG.normal(0, 0.15, ROWS), 0.01, 0.99))
SLIGHTLY = Contender("slightly worse", np.clip(TRUTH + RNG.normal(0, 0.02, ROWS), 0.01, 0.99))
SHARED = Y * (np.random.default_rng(8).random(ROWS) < 0.5)
DAYS = np.argsort(np.argsort(SHARED + np.random.default_rng(9).normal(size=ROWS))) // 50
HALVES = {"half=a": np.arange(0, ROWS, 2), "half=b": np.arange(1, ROWS, 2)}


def evidence(new: Contender = GOOD, *opponents: Contender, **changes: Any) -> Evidence:
    """Return evidence on the same rows; the first opponent is the champion."""
    usual: dict[str, Any] = {
        "task": BINARY,
        "y": Y,
        "blocks": BLOCKS,
        "champion": bool(opponents),
        "mean": 0.5,
        "slices": HALVES,
        "metric": "log_loss",
        "tolerance": Tolerance(calibration=0.1, loss=0.001),
        "alpha": 0.03,
    }
    return Evidence(challenger=new, opponents=opponents, **(usual | changes))


def only(rule: Rule, seen: Evidence, intent: Intent = "better") -> Finding:
    """Return the one finding of a rule."""
    (finding,) = rule.judge(seen, intent)
    return finding


@pytest.mark.parametrize(
    ("new", "old", "answer"),
    [(GOOD, NOISY, "pass"), (NOISY, GOOD, "fail"), (GOOD, GOOD, "undecided")],
)
def test_better_is_proven_or_disproven_or_open(new: Contender, old: Contender, answer: RuleAnswer) -> None:
    """The better of two models passes, the worse fails, and one against itself is neither."""
    finding = only(Improvement(), evidence(new, old))
    assert finding.answer == answer
    assert finding.low <= finding.value <= finding.high


def test_worse_by_chance_is_not_proven_worse() -> None:
    """A model that looks a little worse is undecided, as one that looks a little better is."""
    finding = only(Improvement(), evidence(SLIGHTLY, GOOD, alpha=1e-6))
    assert finding.value < 0
    assert finding.answer == "undecided"


def test_fresher_need_not_be_better() -> None:
    """The model itself is not worse than itself, by any tolerance; without one it would have to be better."""
    assert only(Improvement(), evidence(GOOD, GOOD), "fresher").answer == "pass"
    none = evidence(GOOD, GOOD, tolerance=Tolerance(loss=0))
    assert only(Improvement(), none, "fresher").answer == "undecided"
    assert only(Improvement(), evidence(NOISY, GOOD), "fresher").answer == "fail"


@pytest.mark.parametrize("events", [0, 1, 9, 10])
def test_fewer_than_ten_events_tell_nothing(events: int) -> None:
    """A model that expects fewer of them seems better, whatever it knows."""
    y = np.zeros(ROWS)
    y[:events] = 1
    fewer, more = (Contender("x", np.full(ROWS, rate)) for rate in (0.002, 0.004))
    few = evidence(fewer, more, y=y, mean=0.004, alpha=0.03)
    finding = only(Improvement(), few)
    if events < 10:
        assert finding.answer == "undecided"
        assert finding.says == "1,000 blocks are, of which hardly any has an event, too few to tell"
        assert finding.more_blocks >= 1_000 * (10 / max(events, 0.5) - 1) - 1e-6
    else:
        assert not finding.says
    assert only(Improvement(), evidence(Contender("x", y), more, y=y * 3.0, task=REGRESSION, metric="mae"))


def test_steps_within_the_tolerance_do_not_add_up() -> None:
    """Twenty models, each a little worse than the last: they pass as long as the first is not far above."""
    chance = np.random.default_rng(7).uniform(0.05, 0.95, 100_000)
    y = (np.random.default_rng(8).random(len(chance)) < chance).astype(float)
    models = [Contender(f"v{k}", chance ** (1 + 0.03 * k)) for k in range(21)]
    more: dict[str, Any] = {"y": y, "blocks": np.arange(len(y)), "slices": {}}
    more["tolerance"] = Tolerance(loss=0.01)

    def loss(one: Contender) -> float:
        """Its true one, over that of the truth, as a share of the dummy's."""
        entropy = -np.mean(chance * np.log(one.scores) + (1 - chance) * np.log1p(-one.scores))
        return float(entropy / math.log(2))

    def released(*, anchored: bool) -> list[Contender]:
        chain = models[:1]
        for new in models[1:]:
            anchor = chain[0] if anchored and len(chain) > 1 else None
            seen = evidence(new, chain[-1], **more, anchor=anchor)
            found = list(Improvement().judge(seen, "fresher"))
            if any(finding.answer != "pass" for finding in found):
                break
            chain.append(new)
        return chain

    assert len(released(anchored=False)) == len(models), "each step by itself is within the tolerance"
    stopped = released(anchored=True)
    assert len(stopped) > 2
    assert loss(stopped[-1]) - loss(models[0]) < 0.01
    assert loss(models[-1]) - loss(models[0]) > 0.05


def test_a_model_that_is_better_than_the_champion_is_no_step_down() -> None:
    """However far the champion has come down from the anchor: a remedy does not wait beside it."""
    wrong = Contender("wrong", TRUTH**2)
    (champion, anchor) = Improvement().judge(evidence(NOISY, wrong, anchor=GOOD), "fresher")
    assert evidence(NOISY, wrong).gain(GOOD).value < -0.02, "it is far below the anchor"
    assert (champion.answer, anchor.answer) == ("pass", "pass")
    assert anchor.says == "better than wrong"
    (_, worse) = Improvement().judge(evidence(wrong, NOISY, anchor=GOOD), "fresher")
    assert worse.answer == "fail"
    assert len(list(Improvement().judge(evidence(NOISY, wrong, anchor=GOOD), "better"))) == 1


def test_a_required_gain_must_be_proven() -> None:
    """The bound must be beyond the required gain, not beyond zero."""
    gain = only(Improvement(), evidence(GOOD, NOISY))
    required = Improvement(min_gain=gain.value)
    assert only(required, evidence(GOOD, NOISY)).answer == "undecided"
    assert only(Improvement(min_gain=gain.high + 0.01), evidence(GOOD, NOISY)).answer == "fail"


def test_every_opponent_must_be_beaten() -> None:
    """Better than the champion is not enough where the base is as good."""
    answers = [f.answer for f in Improvement().judge(evidence(GOOD, NOISY, GOOD), "better")]
    assert answers == ["pass", "undecided"]


def test_undecided_says_how_many_more_blocks_would_decide() -> None:
    """With that many blocks of the same kind in all it is decided, with fewer it is not."""
    finding = only(Improvement(), evidence(GOOD, SLIGHTLY, alpha=1e-6))
    assert finding.answer == "undecided"
    times = (finding.more_blocks + BLOCKS[-1] + 1) / (BLOCKS[-1] + 1)

    def again(times: int) -> RuleAnswer:
        rows = np.arange(times * ROWS) % ROWS
        blocks = np.arange(len(rows)) // 2
        new, old = (Contender(c.name, c.scores[rows]) for c in (GOOD, SLIGHTLY))
        more = evidence(new, old, y=Y[rows], blocks=blocks, slices={}, alpha=1e-6)
        return only(Improvement(), more).answer

    assert times > 2, "else there is no smaller number of copies to try"
    assert again(math.ceil(times)) == "pass"
    assert again(math.ceil(times) - 1) == "undecided"


def test_floor_is_the_mean() -> None:
    """A model must beat the dummy by `min_gain`; the dummy itself does not."""
    assert only(Floor(), evidence(GOOD)).answer == "pass"
    assert only(Floor(min_gain=0.5), evidence(GOOD)).answer == "fail"
    assert only(Floor(), evidence(Contender("mean", np.full(ROWS, 0.5)))).answer == "undecided"


def test_no_rule_has_a_unit() -> None:
    """Dollars or cents, each answer and each figure is the same."""
    rng = np.random.default_rng(6)
    y, blocks = rng.lognormal(3, 1, ROWS), np.arange(ROWS)
    new, old = (y * np.exp(rng.normal(0, sd, ROWS)) for sd in (0.1, 0.12))
    rules = Rules(floor=Floor(min_gain=0.1), improvement=Improvement(), slices=Slices(min_blocks=30))
    policy = Policy(metric="mae", rules=rules.model_copy(update={"calibration": Calibration()}))

    def findings(unit: float) -> list[tuple[object, ...]]:
        models = (Contender(name, scores * unit) for name, scores in (("new", new), ("old", old)))
        seen = evidence(*models, task=REGRESSION, y=y * unit, blocks=blocks, mean=33 * unit, metric="mae")
        found = judge(seen, policy, "fresher").findings
        return [(f.answer, *(pytest.approx(x) for x in (f.value, f.low, f.high))) for f in found]

    assert findings(1) == findings(100)


def test_a_gain_is_a_share_of_what_the_dummy_lacks() -> None:
    """With its error: the dummy's loss is as uncertain as that of the models."""
    seen = evidence(GOOD, NOISY)
    losses = [seen.measured("log_loss", who).value for who in (GOOD, NOISY, seen.dummy)]
    gain = seen.gain(NOISY)
    assert gain.value == pytest.approx((losses[1] - losses[0]) / losses[2])
    rng = np.random.default_rng(7)
    again = []
    for _ in range(400):
        rows = (2 * rng.integers(ROWS // 2, size=ROWS // 2)[:, None] + [0, 1]).ravel()
        some = evidence(GOOD._replace(scores=TRUTH[rows]), y=Y[rows], mean=0.1)
        again.append(some.gain(some.dummy).value)
    seen = evidence(GOOD, mean=0.1)
    assert seen.gain(seen.dummy).error == pytest.approx(np.std(again), rel=0.1)


def test_the_tolerance_of_a_ranking_is_its_own() -> None:
    """Of the area under the curve .03 may be lost, and not a share of the loss."""
    seen = evidence(SLIGHTLY, GOOD, metric="roc_auc", tolerance=Tolerance(loss=0, ranking=0.03))
    lost = seen.measured("roc_auc", GOOD).value - seen.measured("roc_auc", SLIGHTLY).value
    finding = only(Improvement(), seen, "fresher")
    assert (finding.answer, finding.needed) == ("pass", "> -0.06")
    assert finding.value == pytest.approx(-lost / 0.5)


def test_a_gain_that_no_model_can_reach_is_said_at_once() -> None:
    """With the figure: the champion itself loses less than is to be gained, however many blocks there are."""
    sure = Contender("v1", np.where(Y == 1, 0.999, 0.001))
    surer = Contender("v2", np.where(Y == 1, 0.9999, 0.0001))
    finding = only(Improvement(min_gain=0.01), evidence(surer, sure))
    says = "no model can gain 0.01: v1 itself loses only 0.00144 of what the mean loses"
    assert (finding.answer, finding.says, finding.more_blocks) == ("fail", says, 0)
    assert only(Improvement(min_gain=0.001), evidence(surer, sure)).answer == "pass"
    with pytest.raises(ValueError, match="less than 1"):
        Floor(min_gain=1)


def test_slices_have_the_tolerance_as_their_margin() -> None:
    """Unless the policy gives them one: few rows prove little."""
    finding = only(Slices(min_blocks=30), evidence(GOOD, NOISY))
    assert finding.needed == "> -0.001"
    assert only(Slices(min_blocks=30, margin=0.2), evidence(GOOD, NOISY)).needed == "> -0.2"


def test_a_slice_that_got_worse_is_found_under_a_better_whole() -> None:
    """Better on the whole does not make up for one slice that is worse."""
    few, rest = np.arange(100), np.arange(100, ROWS)
    new = Contender("new", np.where(np.arange(ROWS) < 100, 1 - TRUTH, TRUTH))
    seen = evidence(new, NOISY, slices={"part=few": few, "part=rest": rest})
    assert only(Improvement(), seen).answer == "pass"
    finding = only(Slices(margin=0.01, min_blocks=30), seen)
    assert (finding.answer, finding.says) == ("fail", "worst of 2 slices: part=few")
    assert {part.against: part.answer for part in finding.parts} == {"part=few": "fail", "part=rest": "pass"}


def test_blocks_of_a_slice_are_its_own() -> None:
    """A hundred rows of two a block are fifty blocks, wherever they are."""
    for first in (0, 1000):
        assert evidence(GOOD, NOISY).gain(NOISY, np.arange(first, first + 100)).blocks == 50


def test_small_slices_are_named_but_not_judged() -> None:
    """A slice that is too small is reported and decides nothing; if all are, the rule is undecided."""
    tiny = {"part=tiny": np.arange(10)}
    finding = only(Slices(margin=0.5, min_blocks=30), evidence(GOOD, NOISY, slices=HALVES | tiny))
    assert finding.answer == "pass"
    assert "1 with fewer than 30 blocks not judged" in finding.says
    assert only(Slices(margin=0.5, min_blocks=30), evidence(GOOD, NOISY, slices=tiny)).answer == "undecided"


def test_a_missing_slice_is_no_pass() -> None:
    """A slice that the contract names and no row is in leaves the model undecided."""
    gone = {"part=gone": np.array([], dtype=np.intp)}
    finding = only(Slices(margin=0.5, min_blocks=30), evidence(GOOD, NOISY, slices=HALVES | gone))
    assert finding.answer == "undecided"
    assert finding.says.startswith("worst of 3 slices: part=gone, no row")


def test_words_of_a_boolean_name_no_slice() -> None:
    """Its slices are the booleans that a batch has, with words or without."""
    rows = pd.DataFrame({"adult": [True, False, True], "colour": "red"})
    named = [
        set(
            slices(
                rows,
                contract("type: boolean, role: feature", f"type: boolean{words}, role: [feature, slice]"),
            )
        )
        for words in ("", ", values: [minor, adult]")
    ]
    assert named[0] == named[1]
    assert len([name for name in named[0] if name.startswith("adult")]) == 2


def test_failing_is_corrected_for_the_number_of_slices() -> None:
    """A slice's upper bound, which may reject the model, is wider the more slices there are."""
    one = {"part=0": np.arange(200)}
    many = {f"part={i}": np.arange(200 * i, 200 * i + 200) for i in range(10)}
    alone, among = (
        only(Slices(margin=0, min_blocks=30), evidence(GOOD, NOISY, slices=s)).parts[0] for s in (one, many)
    )
    assert among.high > alone.high
    assert among.low == alone.low


@pytest.mark.parametrize(
    ("ratio", "answer"),
    [
        (1.0, "pass"),
        (1.08, "undecided"),
        (1.12, "undecided"),
        (0.92, "undecided"),
        (0.6, "fail"),
        (1.5, "fail"),
    ],
)
def test_calibration_is_proven_within_the_tolerance(ratio: float, answer: RuleAnswer) -> None:
    """Right in the large passes, far off fails, near an edge is open, to either side of it."""
    expected = Y.mean() / ratio
    fewer, more = TRUTH * expected / TRUTH.mean(), 1 - (1 - TRUTH) * (1 - expected) / (1 - TRUTH.mean())
    finding = only(Calibration(), evidence(Contender("new", fewer if ratio > 1 else more)))
    assert finding.value == pytest.approx(ratio)
    assert finding.answer == answer


def off(name: str, times: float) -> Contender:
    """Return a model that expects so many times the events of `SHARED`."""
    return Contender(name, TRUTH * times * SHARED.mean() / TRUTH.mean())


@pytest.mark.parametrize(
    ("new", "old", "answer", "against"),
    [
        (1.0, 1.0, "pass", "old"),  # days prove neither right, but what moves both cancels
        (0.96, 1.0, "pass", "old"),
        (1.12, 1.0, "undecided", "observed / expected"),
        (0.92, 1.0, "undecided", "old"),
        (1.05, 0.8, "undecided", "old"),
        (0.6, 0.5, "pass", "old"),  # a remedy, if not a cure
        (0.6, 0.6, "fail", "observed / expected"),
        (0.6, 0.7, "fail", "old"),
        (1.3, 1.5, "pass", "old"),
        (2.0, 1.3, "fail", "old"),
    ],
)
def test_what_is_not_proven_alone_may_be_beside_the_champion(
    new: float, old: float, answer: RuleAnswer, against: str
) -> None:
    """With forty days that share their weather: nearer, or not farther off by more than the tolerance."""
    finding = only(Calibration(), evidence(off("new", new), off("old", old), y=SHARED, blocks=DAYS))
    assert (finding.answer, finding.against) == (answer, against)


def test_a_model_that_seems_nearer_is_not_rejected_for_being_far() -> None:
    """More blocks may prove the remedy nearer than the champion, which is as far off."""
    new, old = off("new", 0.602), off("old", 0.6)
    new = new._replace(scores=new.scores * np.random.default_rng(10).choice([0.7, 1.3], ROWS))
    finding = only(Calibration(), evidence(new, old, y=SHARED, blocks=DAYS))
    assert finding.value > 0
    assert (finding.answer, finding.needed, finding.more_blocks > 0) == ("undecided", "> 0", True)


def test_both_ways_to_pass_share_alpha() -> None:
    """Else a model that should pass by neither would have two chances."""
    new, old = off("new", 0.96), off("old", 1.0)
    beside = only(Calibration(), evidence(new, old, y=SHARED, blocks=DAYS))
    nearer = evidence(new, old, y=SHARED, blocks=DAYS).compared("observed_expected", old)
    assert beside[4:6] == pytest.approx(nearer.bounds(0.015))
    assert only(Calibration(), evidence(GOOD, GOOD)).low < only(Calibration(), evidence(GOOD)).low


def test_undecided_calibration_says_how_many_blocks_a_right_model_needs() -> None:
    """A value at the limit would ask for blocks without end."""
    at_limit, right = (
        only(Calibration(), evidence(off("new", times), y=SHARED, blocks=DAYS)) for times in (1 / 1.0999, 1)
    )
    assert {at_limit.answer, right.answer} == {"undecided"}
    assert at_limit.says == right.says == "no model can be proven that near on 40 blocks"
    assert right.more_blocks < at_limit.more_blocks < 2 * right.more_blocks


def test_calibration_of_a_regression_is_its_bias() -> None:
    """In standard deviations of the target."""
    y = RNG.normal(100, 20, ROWS)

    def answer(bias: float) -> RuleAnswer:
        new = Contender("new", y + RNG.normal(bias, 5, ROWS))
        seen = evidence(new, task=REGRESSION, y=y, blocks=np.arange(ROWS), mean=100, slices={}, metric="mae")
        return only(Calibration(), seen).answer

    assert [answer(0), answer(2), answer(5)] == ["pass", "undecided", "fail"]


def test_latency_is_relative_to_the_champion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearly longer than the limit is too long, a little longer is fine; without a champion, nothing."""
    new, old = (who._replace(score_one=lambda: None) for who in (GOOD, NOISY))

    def answer(times: float) -> RuleAnswer:
        raced = Race(times, *((0.0, 2.5) if times < 2.5 else (2.5, math.inf)))
        monkeypatch.setattr("perenne.gate.rules.race", lambda *_: raced)
        return only(Latency(max_ratio=2), evidence(new, old)).answer

    assert [answer(times) for times in (1, 2.2, 2.7)] == ["pass", "pass", "fail"]
    assert only(Latency(max_ratio=2), evidence(GOOD, old)).answer == "undecided", "it cannot be timed"
    assert list(Latency(max_ratio=2).judge(evidence(GOOD), "better")) == []


def test_size_is_relative_to_the_champion() -> None:
    """The limit itself is allowed."""
    small, large = GOOD._replace(size=100), GOOD._replace(size=300)
    assert only(Size(max_ratio=3), evidence(large, small)).answer == "pass"
    assert only(Size(max_ratio=2.9), evidence(large, small)).answer == "fail"
    assert list(Size(max_ratio=3).judge(evidence(large), "better")) == []


ALL = Rules(floor=Floor(), improvement=Improvement(), size=Size(max_ratio=2))


@pytest.mark.parametrize(
    ("new", "old", "answer"),
    [
        (GOOD._replace(size=1), NOISY._replace(size=1), "eligible"),
        (GOOD._replace(size=9), NOISY._replace(size=1), "rejected"),
        (GOOD._replace(size=1), GOOD._replace(size=1), "undecided"),
        (NOISY._replace(size=9), NOISY._replace(size=1), "rejected"),
    ],
)
def test_all_rules_must_pass(new: Contender, old: Contender, answer: str) -> None:
    """One that fails rejects, whatever the others say; else one that is undecided leaves all undecided."""
    assert judge(evidence(new, old), Policy(metric="log_loss", rules=ALL), "better").answer == answer


def test_without_a_champion_absolute_rules_decide() -> None:
    """The rules that need one say nothing; if only those are configured, nothing is proven."""
    assert judge(evidence(GOOD), Policy(metric="log_loss", rules=ALL), "better").answer == "eligible"
    relative = Policy(metric="log_loss", rules=Rules(size=Size(max_ratio=2)))
    assert judge(evidence(GOOD), relative, "better").answer == "undecided"


def test_no_rules_no_release() -> None:
    """Without a rule nothing is proven."""
    assert judge(evidence(GOOD, NOISY), Policy(metric="log_loss"), "better").answer == "undecided"


def test_a_score_that_is_undefined_is_never_a_pass() -> None:
    """With one class only the ranking is undefined: no rule about it passes."""
    seen = evidence(GOOD, NOISY, y=np.zeros(ROWS), metric="roc_auc", tolerance=Tolerance(ranking=0.4))
    for rule in (Floor(), Improvement(), Slices(margin=1, min_blocks=2)):
        assert only(rule, seen, "fresher").answer == "undecided"


def test_every_rule_can_be_configured() -> None:
    """Each rule class is a field of `Rules`, under its own name; else its settings would be refused."""
    fields = {name: field.annotation for name, field in Rules.model_fields.items()}
    assert fields == {rule.__name__.lower(): rule | None for rule in Rule.__subclasses__()}


def test_every_configured_rule_is_applied_in_the_order_of_the_report() -> None:
    """Nothing but the field is needed for that."""
    every: Any = {rule.__name__.lower(): rule.model_construct() for rule in reversed(Rule.__subclasses__())}
    assert [rule.name for rule in Rules.model_construct(**every).configured] == list(Rules.model_fields)
    assert Rules().configured == []
