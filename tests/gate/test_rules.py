"""What the rules answer, each in all the ways it can."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from perenne.common.task import BINARY, REGRESSION
from perenne.documents.verdict import Intent, RuleAnswer
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.judge import judge
from perenne.gate.policy import Policy
from perenne.gate.rules import (
    Calibration,
    Finding,
    Floor,
    Improvement,
    Latency,
    Rule,
    Rules,
    Size,
    Slices,
    median,
)

ROWS = 2000
RNG = np.random.default_rng(5)
TRUTH = RNG.uniform(0.05, 0.95, ROWS)
Y = (RNG.random(ROWS) < TRUTH).astype(float)
BLOCKS = np.arange(ROWS) // 2
GOOD = Contender("good", TRUTH)
NOISY = Contender("noisy", np.clip(TRUTH + RNG.normal(0, 0.15, ROWS), 0.01, 0.99))
SLIGHTLY = Contender("slightly worse", np.clip(TRUTH + RNG.normal(0, 0.02, ROWS), 0.01, 0.99))
HALVES = {"half=a": np.arange(0, ROWS, 2), "half=b": np.arange(1, ROWS, 2)}


def evidence(new: Contender = GOOD, *opponents: Contender, **changes: Any) -> Evidence:
    """Return evidence on the same rows; the first opponent is the champion."""
    usual = {"champion": bool(opponents), "mean": 0.5, "slices": HALVES, "metric": "log_loss", "alpha": 0.03}
    settings: dict[str, Any] = usual | changes
    return Evidence(BINARY, Y, BLOCKS, new, opponents, **settings)


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
    finding = only(Improvement(margin=0.001), evidence(new, old))
    assert finding.answer == answer
    assert finding.low <= finding.value <= finding.high


def test_worse_by_chance_is_not_proven_worse() -> None:
    """A model that looks a little worse is undecided, as one that looks a little better is."""
    finding = only(Improvement(margin=0), evidence(SLIGHTLY, GOOD, alpha=1e-6))
    assert finding.value < 0
    assert finding.answer == "undecided"


def test_fresher_need_not_be_better() -> None:
    """The model itself is not worse than itself, by any margin; without one it would have to be better."""
    assert only(Improvement(margin=0.001), evidence(GOOD, GOOD), "fresher").answer == "pass"
    assert only(Improvement(margin=0), evidence(GOOD, GOOD), "fresher").answer == "undecided"
    assert only(Improvement(margin=0.001), evidence(NOISY, GOOD), "fresher").answer == "fail"


def test_a_required_gain_must_be_proven() -> None:
    """The bound must be beyond the required gain, not beyond zero."""
    gain = only(Improvement(margin=0), evidence(GOOD, NOISY))
    required = Improvement(min_gain=gain.value, margin=0)
    assert only(required, evidence(GOOD, NOISY)).answer == "undecided"
    assert only(Improvement(min_gain=gain.high + 0.01, margin=0), evidence(GOOD, NOISY)).answer == "fail"


def test_every_opponent_must_be_beaten() -> None:
    """Better than the champion is not enough where the base is as good."""
    answers = [f.answer for f in Improvement(margin=0).judge(evidence(GOOD, NOISY, GOOD), "better")]
    assert answers == ["pass", "undecided"]


def test_undecided_says_how_many_more_blocks_would_decide() -> None:
    """With that many blocks of the same kind in all it is decided, with fewer it is not."""
    finding = only(Improvement(margin=0), evidence(GOOD, SLIGHTLY, alpha=1e-6))
    assert finding.answer == "undecided"
    times = (finding.more_blocks + BLOCKS[-1] + 1) / (BLOCKS[-1] + 1)

    def again(times: int) -> RuleAnswer:
        rows = np.arange(times * ROWS) % ROWS
        blocks = np.arange(len(rows)) // 2
        new, old = (Contender(c.name, c.scores[rows]) for c in (GOOD, SLIGHTLY))
        more = Evidence(
            BINARY,
            Y[rows],
            blocks,
            new,
            (old,),
            champion=True,
            mean=0.5,
            slices={},
            metric="log_loss",
            alpha=1e-6,
        )
        return only(Improvement(margin=0), more).answer

    assert times > 2, "else there is no smaller number of copies to try"
    assert again(math.ceil(times)) == "pass"
    assert again(math.ceil(times) - 1) == "undecided"


def test_floor_is_the_mean() -> None:
    """A model must beat the dummy by `min_gain`; the dummy itself does not."""
    assert only(Floor(), evidence(GOOD)).answer == "pass"
    assert only(Floor(min_gain=0.5), evidence(GOOD)).answer == "fail"
    assert only(Floor(), evidence(Contender("mean", np.full(ROWS, 0.5)))).answer == "undecided"


def test_a_slice_that_got_worse_is_found_under_a_better_whole() -> None:
    """Better on the whole does not make up for one slice that is worse."""
    few, rest = np.arange(100), np.arange(100, ROWS)
    new = Contender("new", np.where(np.arange(ROWS) < 100, 1 - TRUTH, TRUTH))
    seen = evidence(new, NOISY, slices={"part=few": few, "part=rest": rest})
    assert only(Improvement(margin=0), seen).answer == "pass"
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
    finding = only(Calibration(tolerance=0.1), evidence(Contender("new", fewer if ratio > 1 else more)))
    assert finding.value == pytest.approx(ratio)
    assert finding.answer == answer


def test_calibration_of_a_regression_is_its_bias() -> None:
    """In standard deviations of the target."""
    y = RNG.normal(100, 20, ROWS)
    blocks = np.arange(ROWS)

    def answer(bias: float) -> RuleAnswer:
        new = Contender("new", y + RNG.normal(bias, 5, ROWS))
        seen = Evidence(
            REGRESSION, y, blocks, new, (), champion=False, mean=100, slices={}, metric="mae", alpha=0.03
        )
        return only(Calibration(tolerance=0.1), seen).answer

    assert [answer(0), answer(2), answer(5)] == ["pass", "undecided", "fail"]


@pytest.mark.parametrize(
    ("ratio", "noise", "answer"), [(4, 0.01, "fail"), (1, 0.01, "pass"), (2, 0.3, "undecided")]
)
def test_latency_is_relative_to_the_champion(
    ratio: float, noise: float, answer: RuleAnswer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proven longer than the limit is too long, proven shorter is fine; without a champion, nothing."""
    races = ratio * np.exp(np.random.default_rng(4).normal(0, noise, 41))
    monkeypatch.setattr(Evidence, "race", lambda *_: races)
    assert only(Latency(max_ratio=2), evidence(GOOD, NOISY)).answer == answer
    assert list(Latency(max_ratio=2).judge(evidence(GOOD), "better")) == []


def test_latencies_are_taken_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each race runs both models, and times each on its own."""
    now = 0.0

    def takes(seconds: float) -> Contender:
        def one() -> None:
            nonlocal now
            now += seconds
            ran.append(seconds)

        return Contender("runner", TRUTH, score_one=one)

    ran: list[float] = []
    monkeypatch.setattr("perenne.gate.evidence.time", SimpleNamespace(perf_counter=lambda: now))
    new, old = takes(3.0), takes(1.5)
    assert evidence(new, old).race(old).tolist() == pytest.approx([2.0] * 41)
    assert ran == [3.0, 1.5] * (len(ran) // 2)


def test_size_is_relative_to_the_champion() -> None:
    """The limit itself is allowed."""
    small, large = GOOD._replace(size=100), GOOD._replace(size=300)
    assert only(Size(max_ratio=3), evidence(large, small)).answer == "pass"
    assert only(Size(max_ratio=2.9), evidence(large, small)).answer == "fail"
    assert list(Size(max_ratio=3).judge(evidence(large), "better")) == []


def test_median_bounds_hold() -> None:
    """In at least 99 % of samples of a skewed distribution the median is between the bounds."""
    rng = np.random.default_rng(3)
    samples = rng.exponential(size=(2000, 41))
    held = [low <= np.log(2) <= high for low, _, high in map(median, samples)]
    assert np.mean(held) > 0.985


ALL = Rules(floor=Floor(), improvement=Improvement(margin=0.001), size=Size(max_ratio=2))


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
    seen = Evidence(
        BINARY,
        np.zeros(ROWS),
        BLOCKS,
        GOOD,
        (NOISY,),
        champion=True,
        mean=0.5,
        slices=HALVES,
        metric="roc_auc",
        alpha=0.03,
    )
    for rule in (Floor(), Improvement(margin=1), Slices(margin=1, min_blocks=2)):
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
