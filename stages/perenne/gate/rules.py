"""What a model must prove: one class per rule. Its docstring is the demand, its fields are its settings.

A rule has three answers: pass, fail, or undecided, with the number of blocks that would decide. A rule that
has nothing to compare with yet has no finding, and that does not count as a pass. Where a bound is undefined
(NaN), the answer is undecided.

To add a rule: write its class here, and add a field of that type, under the name of the class in lower case,
to `Rules` at the end. The field order is the order of the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydantic import Field

from perenne.common.typed import Model
from perenne.documents.verdict import Intent
from perenne.gate.evidence import Contender, Evidence
from perenne.gate.finding import (
    MOST_TIMES,
    WORST_FIRST,
    Finding,
    above,
    below,
    between,
    in_units,
    missing,
)
from perenne.gate.race import race
from perenne.stats.metrics import METRICS
from perenne.stats.paired import Nearer

CLEARLY = 1.25  # above the limit of a latency


class Rule(Model):
    """A demand on the challenger."""

    @property
    def name(self) -> str:
        """The name in params.yaml."""
        return type(self).__name__.lower()

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """Yield a finding for each comparison; nothing where there is nothing to compare with.

        Parameters
        ----------
        evidence
            The models' scores on the rows of the holdout, and the alpha of each one-sided bound.
        intent
            `better` or `fresher`; only `Improvement` depends on it.

        """
        raise NotImplementedError  # every rule has its own


class Floor(Rule):
    """Better than a dummy that always predicts the mean of the training rows, by `min_gain` of its loss."""

    min_gain: float = Field(default=0, ge=0, lt=1)  # no model can gain all of it

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the dummy."""
        gain = evidence.gain(evidence.dummy)
        yield above(self.min_gain, gain, evidence.alpha, self.name, evidence.dummy.name)


class Improvement(Rule):
    """Better than each opponent by `min_gain`; with intent `fresher`, not worse by more than the tolerance.

    Both are shares of the dummy's loss. Steps within the tolerance may add up: so a fresher model is also
    compared with the last version that was proven better, from which only fresher ones lead to the champion.
    It must be proven not worse than that one by more than the tolerance, or better than the champion: then
    it is no step down, and no remedy waits beside a model that is worse. Each way has half of alpha.
    """

    min_gain: float = Field(default=0, ge=0, lt=1)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:
        """One finding for each opponent."""
        threshold = self.min_gain if intent == "better" else -evidence.tolerated
        for opponent in evidence.opponents:
            finding = above(threshold, evidence.gain(opponent), evidence.alpha, self.name, opponent.name)
            most = evidence.reachable(opponent)
            if most <= threshold:
                lacking = f"{opponent.name} itself loses only {most:.3g} of what {evidence.dummy.name} loses"
                finding = finding._replace(
                    answer="fail", says=f"no model can gain {threshold:g}: {lacking}", more_blocks=0.0
                )
            yield finding
        if evidence.anchor and intent == "fresher":
            yield self._no_ratchet(evidence, evidence.anchor)

    def _no_ratchet(self, evidence: Evidence, anchor: Contender) -> Finding:
        alpha = evidence.alpha / 2
        gain = evidence.gain(anchor)
        finding = above(-evidence.tolerated, gain, alpha, self.name, anchor.name)
        champion = evidence.champion
        if finding.answer == "pass" or champion is None:
            return finding
        step = above(0, evidence.gain(champion), alpha, self.name, anchor.name)
        if step.answer == "pass":
            return finding._replace(answer="pass", says=f"better than {champion.name}", more_blocks=0.0)
        # Whichever is decided first.
        waits = [each.more_blocks for each in (finding, step) if each.answer == "undecided"]
        if not waits:
            return finding
        return finding._replace(answer="undecided", more_blocks=min(waits))


class Slices(Rule):
    """Not worse than each opponent by `margin` in any slice of at least `min_blocks` blocks.

    The margin is a share of the dummy's loss on the rows of the slice; None: the tolerance. All slices must
    pass, so passing needs no correction for their number (intersection-union test: Berger 1982, Technometrics
    24, 295-300). One failing slice rejects the model, so failing is corrected for it.
    """

    margin: float | None = Field(default=None, ge=0)
    min_blocks: int = Field(ge=2)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding for each opponent: that of its worst slice, with all slices as parts."""
        for opponent in evidence.opponents if evidence.slices else ():
            parts = tuple(self._parts(evidence, opponent))
            judged = [part for part in parts if part.answer != "not judged"]
            few = len(parts) - len(judged)
            if not judged:
                says = f"none of {few} slices has {self.min_blocks} blocks"
                yield parts[0]._replace(
                    against=opponent.name, answer="undecided", says=says, more_blocks=math.inf, parts=parts
                )
                continue
            worst = min(judged, key=lambda part: (WORST_FIRST.index(part.answer), part.value))
            says = f"worst of {len(judged)} slices: {worst.against}" + f", {worst.says}" * bool(worst.says)
            says += f"; {few} with fewer than {self.min_blocks} blocks not judged" if few else ""
            yield worst._replace(against=opponent.name, says=says, parts=parts)

    def _parts(self, evidence: Evidence, opponent: Contender) -> Iterator[Finding]:
        margin = evidence.tolerated if self.margin is None else self.margin
        gains = {name: evidence.gain(opponent, places, part=name) for name, places in evidence.slices.items()}
        tests = sum(gain.blocks >= self.min_blocks for gain in gains.values())
        for name, gain in gains.items():
            part = above(-margin, gain, evidence.alpha, self.name, name, tests=max(tests, 1))
            if 0 < gain.blocks < self.min_blocks:
                part = part._replace(answer="not judged", says=f"{gain.blocks} blocks")
            elif not gain.blocks:
                part = part._replace(says="no row: take it out of the contract if it is gone for good")
            yield part


class Calibration(Rule):
    """Right in the large within the tolerance, or not farther off than the champion by more than that.

    Few holdouts have the events that prove a model right by itself: days share their weather, and with 30 of
    them the ratio of observed to expected is known within a sixth. What moves both models alike cancels
    between them. So there are two ways to pass:

    - alone: observed / expected proven within 1 +- the tolerance; for a regression, |bias| / sd;
    - beside the champion: proven not farther off by more than the tolerance, unless it is proven outside the
      tolerance by itself; a model that is must be proven nearer than the champion. So no remedy has to wait
      beside a model that is worse. Steps within the tolerance may add up, until the model is proven outside.

    Each has half of alpha, so that a model that should pass neither way does so with a chance of at most
    alpha; without a champion the first has all. A model proven outside fails, unless it seems nearer than the
    champion; so does one proven farther off than it by more than the tolerance.

    Of several classes each is judged by itself. All must pass, so passing needs no correction for their
    number; one that fails rejects the model, so failing is corrected for it, as in `Slices`. A rare class
    must not keep every model out: one that ten times the blocks would not prove even of a right model can
    fail, or pass beside the champion, and is else not judged. At least one class must be judged.
    """

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding; of several classes that of the worst, with all of them as parts."""
        if not evidence.classes:
            yield self._judged(evidence)
            return
        title, best = evidence.task.calibration_title, METRICS[evidence.task.calibration].goal.best
        parts = tuple(self._part(evidence, place) for place in range(len(evidence.classes)))
        judged = [part for part in parts if part.answer != "not judged"]
        if not judged:
            yield parts[0]._replace(
                against=title,
                answer="undecided",
                says=f"none of {len(parts)} classes has rows enough for any model to be proven right",
                more_blocks=min(part.more_blocks for part in parts),
                parts=parts,
            )
            return
        far = {part.against: abs(evidence.calibrated(place=k).value - best) for k, part in enumerate(parts)}
        worst = min(
            judged, key=lambda part: (WORST_FIRST.index(part.answer), -part.more_blocks, -far[part.against])
        )
        rare = [part.against for part in parts if part.answer == "not judged"]
        says = f"worst of {len(judged)} classes: {worst.against}, {worst.says}"
        says += f"; too few rows to judge {', '.join(rare)}" if rare else ""
        yield worst._replace(against=title, says=says, parts=parts)

    def _part(self, evidence: Evidence, place: int) -> Finding:
        """The finding of a class: against it, in whichever way."""
        finding = self._judged(evidence, place)
        says = ": ".join(filter(None, [finding.against, finding.says]))
        return finding._replace(against=evidence.classes[place], says=says)

    def _judged(self, evidence: Evidence, place: int | None = None) -> Finding:
        """Return the finding of the way that decides, or would with the fewest more blocks."""
        champion = evidence.champion
        alone = self._alone(evidence, evidence.alpha / 2 if champion else evidence.alpha, place)
        if place is not None and evidence.few(place):
            more = alone.more_blocks or math.inf
            return alone._replace(answer="not judged", says="too few to tell", more_blocks=more)
        if champion is None or alone.answer == "pass":
            return alone
        beside = self._beside(evidence, champion, evidence.alpha / 2, place, outside=alone.answer == "fail")
        if beside.answer != "undecided":
            return beside
        if alone.answer == "fail":
            return beside if beside.value > 0 else alone
        if alone.answer == "not judged":
            return alone
        return min(beside, alone, key=lambda finding: finding.more_blocks or math.inf)  # 0: not known

    def _alone(self, evidence: Evidence, alpha: float, place: int | None) -> Finding:
        task, tolerance = evidence.task, evidence.tolerance.calibration
        best, tests = METRICS[task.calibration].goal.best, max(len(evidence.classes), 1)
        estimate = in_units(evidence.calibrated(place=place), evidence.calibration_unit)
        least, most = best - tolerance, best + tolerance
        finding = between(least, most, estimate, alpha, self.name, task.calibration_title, tests=tests)
        if finding.answer != "undecided":
            return finding
        # A value at a limit would ask for blocks without end: what a right model needs is the better advice.
        needs = missing(estimate._replace(value=best), most, alpha)
        says = f"no model can be proven that near on {estimate.blocks:,} blocks" if needs else ""
        says = estimate.few or says
        if place is not None and needs > MOST_TIMES * estimate.blocks:
            return finding._replace(answer="not judged", says=says, more_blocks=needs)
        more = min(finding.more_blocks, needs) if needs else finding.more_blocks
        return finding._replace(says=says, more_blocks=more)

    def _beside(
        self, evidence: Evidence, champion: Contender, alpha: float, place: int | None, *, outside: bool
    ) -> Finding:
        """Compare with the champion: whether the challenger is nearer, and by how much it may be farther."""
        task, tolerance = evidence.task, evidence.tolerance.calibration
        unit, tests = evidence.calibration_unit, max(len(evidence.classes), 1)
        apart, both = evidence.nearer(champion, place)
        nearer = Nearer(in_units(apart, unit), in_units(both, unit))
        threshold = 0 if outside else -tolerance
        finding = above(threshold, nearer, alpha, self.name, champion.name, tests=tests)
        if finding.high < -tolerance:
            finding = finding._replace(answer="fail", more_blocks=0.0)
        elif finding.answer == "fail":  # not nearer, by itself no reason to fail
            finding = finding._replace(answer="undecided")
        says = f"how much nearer its {task.calibration_title} is"
        return finding._replace(says=": ".join(filter(None, [says, finding.says])))


class Latency(Rule):
    """Scoring one row does not take clearly longer than `max_ratio` times as long as the champion.

    Clearly is by more than a quarter: a busy machine can make a ratio seem a little above its limit, and the
    same commit must get the same verdict. Models that near to that edge race until it is decided.
    """

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the champion."""
        champion, challenger = evidence.champion, evidence.challenger
        if champion is None:
            return
        if challenger.score_one is None or champion.score_one is None:
            yield below(self.max_ratio, math.nan, math.nan, math.nan, self.name, champion.name)
            return
        limit = CLEARLY * self.max_ratio
        ratio, low, high = race(challenger.score_one, champion.score_one, limit)
        finding = below(limit, ratio, low, high, self.name, champion.name)
        yield finding._replace(needed=f"<= {self.max_ratio:g}", says=f"fails only from {limit:g} on")


class Size(Rule):
    """The model file is at most `max_ratio` times as large as the champion's."""

    max_ratio: float = Field(gt=0)

    def judge(self, evidence: Evidence, intent: Intent) -> Iterator[Finding]:  # noqa: ARG002 -- the same for both intents
        """One finding, against the champion."""
        if evidence.champion:
            old = evidence.champion.size
            ratio = evidence.challenger.size / old if old else math.nan
            yield below(self.max_ratio, ratio, ratio, ratio, self.name, evidence.champion.name)


class Rules(Model):
    """The rules of a policy, in the order of the report; a rule that is left out is not applied."""

    floor: Floor | None = None
    improvement: Improvement | None = None
    slices: Slices | None = None
    calibration: Calibration | None = None
    latency: Latency | None = None
    size: Size | None = None

    @property
    def configured(self) -> list[Rule]:
        """The rules that are to be applied, in the order of the report."""
        rules = (getattr(self, name) for name in type(self).model_fields)
        return [rule for rule in rules if rule is not None]
