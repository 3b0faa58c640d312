"""What a replay of a case's history says: walks, what they cost, and the report that its page shows.

Walks are kept as JSON in full precision, under a name that holds a hash of all code: so they need no schema
number, and are models, not documents.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import ConfigDict

from perenne.common.typed import Model

Kind = Literal["scheduled", "released", "rejected", "undecided", "waiting", "chosen"]


class ReplayEvent(NamedTuple):
    """Something that a policy did after a batch; `learned` are the periods that the model learned from."""

    at: str
    kind: Kind
    learned: str
    why: str = ""
    since: str | None = None


class Figures(NamedTuple):
    """How a model did on a batch, once the labels were known; `headline_*` is the headline figure.

    Of several classes, `observed` and `expected` have a number for each, in the contract's order.
    """

    rows: int
    loss: float
    observed: float | tuple[float, ...]
    expected: float | tuple[float, ...]
    headline_observed: float
    headline_predicted: float


class Step(NamedTuple):
    """A batch, the `as_of` of the model that scored it, and how that model did."""

    period: str
    as_of: str
    figures: Figures


class Costs(NamedTuple):
    """What one walk cost, or the means over seeds.

    `wrong` counts the batches in which observed / expected (of several classes, that of one) was outside of
    the band; `delay` those from the first break until it was inside again, NaN without a break.
    """

    loss: float
    retrainings: float
    false_alarms: float
    cost: float
    wrong: float
    delay: float


class Kept(Model):
    """A model that is kept as JSON; what is not known is NaN."""

    model_config = ConfigDict(allow_inf_nan=True, ser_json_inf_nan="constants")


class WalkRecord(Kept):
    """A walk of one policy over one history; `used`: the cuts of its models."""

    policy: str
    seed: int
    steps: tuple[Step, ...]
    events: tuple[ReplayEvent, ...]
    used: tuple[tuple[str, int, int, int, int, int], ...]


class EstimateErrors(Kept):
    """How right estimates without labels were, over all batches before a known break or after it.

    `error` is the mean absolute difference from what the labels then gave, `of_validation` that of the value
    on validation, `covered` the share of batches inside the interval.
    """

    when: Literal["before", "after"]
    metric: str
    batches: int
    error: float
    of_validation: float
    covered: float


class EstimatesRecord(Kept):
    """How right the estimates for one history's first model were, if it is never retrained."""

    errors: tuple[EstimateErrors, ...]


class GridRecord(Kept):
    """What each of the settings of the grid costs on one history, in the grid's order."""

    costs: tuple[Costs, ...]


class PolicyCosts(Kept):
    """A line of the table of costs: beside the oracle's cost as a multiple and as a difference."""

    policy: str
    costs: Costs
    of_best: float
    above_best: float


class Point(Kept):
    """A policy on one batch: means over the histories.

    `observed_expected` is that of the class that is farthest off, where there are several.
    """

    policy: str
    period: str
    loss: float
    observed_expected: float
    headline: float
    headline_observed: float


class Done(Kept):
    """An event, and which policy did it in which history."""

    policy: str
    seed: int
    event: ReplayEvent


class TriedParams(Kept):
    """Params that were tried: their costs, what they save against those in use, and its standard error."""

    params: dict[str, int]
    costs: Costs
    saved: float
    error: float
    recommended: bool
    in_use: bool


class ReplayReport(Kept):
    """All that a replay found; of several histories the means.

    `unit` is the period of a batch, `about` the headline figure, `cost` that of a retraining and of a false
    alarm, `breaks` the first batches of a new world, `right` the band of observed / expected. `estimates` are
    those of all histories together; none where labels are never late.
    """

    case: str
    unit: str
    about: str
    histories: int
    cost: float
    breaks: tuple[str, ...]
    right: tuple[float, float]
    costs: tuple[PolicyCosts, ...]
    timeline: tuple[Point, ...]
    events: tuple[Done, ...]
    tried: tuple[TriedParams, ...]
    estimates: tuple[EstimateErrors, ...] = ()
