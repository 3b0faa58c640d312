"""Are the model's predictions still right? Tested on matured labels only, batch after batch.

Three things can go wrong independently: there are more or fewer events than predicted, the loss is larger
than the scores promise, or the ranking is worse (for a regression: the tails are heavier). All are needed: a
law that halves the departures makes the loss *fall* a year later, while the model predicts three times too
many. Slices are watched as well: two that go wrong in opposite ways leave the whole as it was. So are, where
there are several, the classes: each may come too often or too rarely, as a whole and in every slice. They
share the false alarms, as slices do: ten times as many streams need evidence that is larger by log(10), which
a change that matters has a batch later at most.

A change must matter: a stream is wrong only if it is proven beyond its bound, which is the params' tolerance,
or where the model was worse than that already on validation, what it was there. The order of rows within a
batch means nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from perenne.common import periods, predicted
from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.params import Tolerance
from perenne.common.slicing import sliced
from perenne.documents.drift import StreamState
from perenne.stats import deviation, sequential
from perenne.stats.blocks import Alike
from perenne.stats.deviation import DesignEffect, Shocks, Sums
from perenne.stats.sequential import Wealth
from perenne.watch.effects import Shared, Unexpected, blocks_of, effects
from perenne.watch.error_scale import ErrorScale
from perenne.watch.reference import only
from perenne.watch.seasons import Seasons
from perenne.watch.streams import ENOUGH, SLICES, STREAMS, Places, StreamKind, Subject, rows_of
from perenne.watch.wording import Wording


class Watched(NamedTuple):
    """A stream with its bound; deviations in the stream's own direction, above 0 if something is wrong.

    ``reference`` is the deviation on validation with its standard error ``error`` as far as the bound rests
    on it, ``shared`` and ``shock`` say how batches vary, ``alpha`` is the stream's part of the false alarms
    per batch. ``of_class`` is None unless it is about one of several classes.
    """

    kind: StreamKind
    of_class: str | None
    slice: str | None
    reference: float
    error: float
    bound: float
    shared: Shared
    shock: Shocks
    alpha: float

    @property
    def effect(self) -> DesignEffect:
        """By what factor rows of validation that are alike add to the variance."""
        return self.shared.effect

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.kind.rows, self.of_class)


class WatchedStreams(NamedTuple):
    """What later batches are compared with: the streams, and the scale of a regression's errors.

    ``rate`` is the false alarms of all streams per batch.
    """

    streams: tuple[Watched, ...]
    scale: ErrorScale | None
    rate: float


def labelled(batch: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The rows whose label and score are known."""
    return batch[batch[contract.target].notna() & predicted.scored(batch, contract)]


def watched(
    reference: Mapping[pd.Period, pd.DataFrame], contract: Contract, tolerance: Tolerance, *, periods: int
) -> WatchedStreams:
    """What each stream is on rows that were predicted without being seen, and the bound that follows.

    Parameters
    ----------
    reference
        Such rows by period, with their scores.
    contract
        What the rows are.
    tolerance
        How wrong is still right.
    periods
        Between two false alarms of all streams together, on average, at least.

    """
    alike = list(
        dict.fromkeys([contract.time, *contract.entity, *([contract.block] if contract.block else [])])
    )
    needed = list(dict.fromkeys([*alike, contract.target, *contract.slices, *predicted.columns(contract)]))

    def read(period: pd.Period) -> pd.DataFrame:
        rows = only(reference, period, needed) if contract.classes else reference[period]
        return labelled(rows, contract)

    held, counts = [], dict[pd.Period, int]()
    for period in sorted(reference):
        rows = read(period)
        if len(rows):
            counts[period] = len(rows)
            # The sizes of a regression's errors are learned from all columns.
            held.append(rows[alike] if contract.classes else rows)
    if not counts:
        return WatchedStreams((), None, 1 / periods)
    whole = pd.concat(held, ignore_index=True)
    del held
    scale = None
    if not contract.classes:
        scale = ErrorScale(whole, contract, batch=len(whole) / len(counts), tolerance=tolerance.loss)
    parts: dict[Subject, list[Unexpected]] = {}
    expected: set[Subject] = set()
    for period in counts:
        for subject, each in rows_of(read(period), contract, scale).items():
            parts.setdefault(subject, []).append(Unexpected.of(each))
            # What is never expected is not watched, and takes no share.
            if each.sizes.any():
                expected.add(subject)
    known = effects(Alike(whole, contract, within=True), parts)
    del whole
    known = {subject: shared for subject, shared in known.items() if subject in expected}
    sums = _summed(map(read, counts), known, contract, scale)
    limits = _limits(tolerance, scale)
    sharing = Counter(subject.rows for subject in known)
    streams: list[Watched] = []
    for name in contract.task.streams:
        kind = STREAMS[name]
        for subject, shared in known.items():
            if subject.rows == kind.rows:
                alpha = kind.share / sharing[kind.rows] / periods
                streams.append(_watched(kind, subject, None, sums[None][subject], shared, limits, alpha))
    streams += _sliced(sums, streams, limits, 1 / periods)
    return WatchedStreams(tuple(stream for stream in streams if stream.bound < math.inf), scale, 1 / periods)


def _summed(
    batches: Iterable[pd.DataFrame],
    known: Mapping[Subject, Shared],
    contract: Contract,
    scale: ErrorScale | None,
) -> dict[str | None, dict[Subject, list[Sums]]]:
    """The sums of each batch by subject: of all rows under None, and of each slice those of a bias."""
    found: dict[str | None, dict[Subject, list[Sums]]] = {}
    for rows in batches:
        parts, numbered = rows_of(rows, contract, scale), _Numbered(rows, contract)
        places: dict[str | None, Places | None] = {None: None}
        if contract.slices:
            places.update(sliced(rows, contract))
        for name, some in places.items():
            for subject, shared in known.items():
                if name is None or subject.rows == "bias":
                    each = found.setdefault(name, {}).setdefault(subject, [])
                    each.append(parts[subject].sums(some, numbered.by(shared.block)))
    return found


def _limits(tolerance: Tolerance, scale: ErrorScale | None) -> dict[str, float]:
    """The deviation that is still right, by what is watched."""
    if scale is None:
        return {"bias": tolerance.calibration, "loss": tolerance.loss, "ranking": tolerance.ranking}
    grown = scale.growth
    return {
        "bias": tolerance.calibration,
        "loss": scale.grown(grown) - 0.5,
        "tails": scale.beyond(grown) - scale.beyond(1.0),
    }


def _watched(
    kind: StreamKind,
    subject: Subject,
    slice_: str | None,
    sums: list[Sums],
    shared: Shared,
    limits: Mapping[str, float],
    alpha: float,
) -> Watched:
    pooled = Sums()
    for each in sums:
        pooled = pooled.plus(each)
    effect = shared.effect.of(pooled)
    shock = deviation.shocks(sums, shared.effect)
    directed = kind.sign * pooled.deviation if pooled.size else math.nan
    if math.isnan(directed):
        bound = math.inf if not pooled.size else 0.0
        return Watched(kind, subject.of_class, slice_, 0.0, 0.0, bound, shared, shock, alpha)
    error = math.sqrt(effect.factor * pooled.variance / pooled.size**2 + shock.variance / max(len(sums), 1))
    allowed = limits[kind.rows]
    if kind.rows == "bias":
        # The scores' own promise is 0, known without an error; the reference counts only if it misses by
        # more.
        bound, error = (allowed, 0.0) if directed <= allowed else (directed, error)
    else:
        bound = allowed + max(directed, 0.0)
    return Watched(kind, subject.of_class, slice_, directed, error, bound, shared, shock, alpha)


def _sliced(
    sums: Mapping[str | None, Mapping[Subject, list[Sums]]],
    streams: Iterable[Watched],
    limits: Mapping[str, float],
    rate: float,
) -> list[Watched]:
    """Too many or too few events in each slice. Two rows of a block share as much in it as in a whole batch.

    A slice may have good and bad periods of its own, which the others even out: the larger shock counts.
    """
    biases = {stream.subject: stream for stream in streams if stream.kind.rows == "bias"}
    kinds = [kind for kind in STREAMS.values() if kind.rows == "bias"]
    alpha = SLICES * rate / (2 * max(len(sums) - 1, 1) * max(len(biases), 1))
    found = []
    for name, by_subject in sums.items():
        for subject, bias in biases.items():
            if name is None or subject not in by_subject:
                continue
            for kind in kinds:
                stream = _watched(kind, subject, name, by_subject[subject], bias.shared, limits, alpha)
                shock = max(bias.shock, stream.shock, key=lambda one: one.variance)
                found.append(stream._replace(shock=shock))
    return found


class _Numbered:
    """Rows, and the numbers of their blocks: counted once for each kind of block."""

    def __init__(self, rows: pd.DataFrame, contract: Contract) -> None:
        self.rows, self.contract = rows, contract
        self._by: dict[tuple[object, ...], Places | None] = {}

    def by(self, block: Block) -> Places | None:
        """The number of each row's block, shape (rows,); None if each is its own."""
        key = block.columns, block.part, block.span
        if key not in self._by:
            self._by[key] = blocks_of(self.rows, self.contract, block)
        return self._by[key]


def sums_of(batch: pd.DataFrame, watched: WatchedStreams, contract: Contract) -> tuple[Sums, ...]:
    """What the labelled rows of a batch add to each stream.

    Parameters
    ----------
    batch
        Rows of the contract with their predictions; those without a label are left out.
    watched, contract
        The streams, and what the rows are.

    """
    rows = labelled(batch, contract)
    if rows.empty:
        return (Sums(),) * len(watched.streams)
    parts, numbered = rows_of(rows, contract, watched.scale), _Numbered(rows, contract)
    places = sliced(rows, contract) if contract.slices else {}
    return tuple(
        parts[stream.subject].sums(
            None if stream.slice is None else places[stream.slice], numbered.by(stream.shared.block)
        )
        if stream.slice is None or stream.slice in places
        else Sums()
        for stream in watched.streams
    )


class DetectorStates(NamedTuple):
    """What detectors carry from batch to batch, for each stream.

    `wealth`, `waiting` (the sums of batches with too few events), and of what was judged together so far the
    first period (`ends`), the sums (`seen`) and the score as a part of a sum (`scores`).
    """

    wealth: list[Wealth]
    waiting: list[Sums]
    ends: list[list[str]]
    seen: list[list[Sums]]
    scores: list[list[float]]


class Detectors:
    """The state of every stream's detector, batch after batch."""

    def __init__(self, streams: WatchedStreams, contract: Contract, seasons: Seasons | None = None) -> None:
        """Start without any evidence, as after every training.

        Parameters
        ----------
        streams
            What is watched.
        contract
            What the rows are.
        seasons
            Of all periods that the model knows: an alarm says if it may be a season that is not among them.

        """
        self.watched, self.contract, self.seasons = streams, contract, seasons
        each = streams.streams
        self.restore(
            DetectorStates(
                [Wealth() for _ in each],
                [Sums() for _ in each],
                [[] for _ in each],
                [[] for _ in each],
                [[] for _ in each],
            )
        )

    def state(self) -> DetectorStates:
        """Where they stand now; it is part of them, and changes with them."""
        return DetectorStates(self.wealth, self.waiting, self.ends, self.seen, self.scores)

    def restore(self, state: DetectorStates) -> None:
        """Go on from a state of detectors of the same streams."""
        self.wealth, self.waiting, self.ends, self.seen, self.scores = state
        # What `_since` has summed: from which place, up to which, and the sums.
        self._summed: list[tuple[int, int, Sums]] = [(0, 0, Sums()) for _ in state.wealth]

    def update(self, period: pd.Period, batch: pd.DataFrame) -> tuple[StreamState, ...]:
        """Add a batch whose labels have matured; return the state of the streams after it.

        Parameters
        ----------
        period
            The period of the batch; batches must arrive oldest first.
        batch
            Rows of the contract with their predictions; those without a label are left out.

        Returns
        -------
        Those of all rows, and those of slices that raise the alarm. Of several classes in alarm, the one that
        is off by the most rows comes first: others have lost or gained what it has not.

        """
        return self.add(period, sums_of(batch, self.watched, self.contract))

    def add(self, period: pd.Period, sums: Sequence[Sums]) -> tuple[StreamState, ...]:
        """As `update`, of the sums of a batch for each stream, as `sums_of` returns them."""
        values = [self._add(place, str(period), each) for place, each in enumerate(sums)]
        alarmed = self._alarms()
        shown = [
            place
            for place, stream in enumerate(self.watched.streams)
            if stream.slice is None or alarmed[place]
        ]
        shown.sort(key=lambda place: -self._rows_off(place) if alarmed[place] else 0.0)
        return tuple(self._state(place, values[place], alarm=alarmed[place]) for place in shown)

    def _add(self, place: int, period: str, sums: Sums) -> Sums | None:
        """Add a batch's sums to a stream, and those that waited for it; None if they are still too few."""
        stream = self.watched.streams[place]
        if not self.waiting[place].events:
            self.ends[place].append(period)  # the first period of what is judged together
        together = self.waiting[place].plus(sums)
        # Of rows that are alike, those of a block tell as much as a few.
        if together.events < ENOUGH * stream.effect.of(together).factor or not together.variance:
            self.waiting[place] = together
            if not together.events:
                self.ends[place].pop()
            return None
        self.waiting[place] = Sums()
        self.seen[place].append(together)
        lasting = self._score(stream, together, lasting=True)
        self.scores[place].append(lasting)
        self.wealth[place] = sequential.update(
            self.wealth[place], self._score(stream, together), lasting, alpha=stream.alpha
        )
        return together

    def _score(self, stream: Watched, sums: Sums, *, lasting: bool = False) -> float:
        directed = _unsure(stream, sums)
        directed = directed._replace(total=stream.kind.sign * sums.total, cube=stream.kind.sign * sums.cube)
        # Events are counted one by one; other residuals are not.
        step = 1.0 if stream.kind.rows == "bias" and self.contract.classes else 0.0
        return deviation.score(
            directed, stream.bound, stream.effect, stream.shock, lasting=lasting, step=step
        )

    def _alarms(self) -> list[bool]:
        """Which streams are in alarm; of two directions only the one with more evidence."""
        rate = self.watched.rate
        evidence = [wealth.log_e for wealth in self.wealth]
        shares = [stream.alpha / rate for stream in self.watched.streams]
        found = sequential.alarms(evidence, shares, rate) if evidence else []
        best: dict[tuple[Subject, str | None], int] = {}
        for place, stream in enumerate(self.watched.streams):
            if found[place]:
                key = stream.subject, stream.slice
                if key not in best or evidence[place] > evidence[best[key]]:
                    best[key] = place
        return [place in best.values() for place in range(len(found))]

    def _rows_off(self, place: int) -> float:
        """By how many rows a class is off since its change began; 0 of anything else, and of slices."""
        stream = self.watched.streams[place]
        return 0.0 if stream.slice or stream.of_class is None else abs(self._since(place)[1].total)

    def _since(self, place: int) -> tuple[str, Sums]:
        """The period in which a stream's change began, and its sums from there on."""
        first = sequential.began(self.scores[place])
        start, end, whole = self._summed[place]
        if start != first:  # else an alarm that stays is summed on, in the same order
            end, whole = first, Sums()
        for each in self.seen[place][end:]:
            whole = whole.plus(each)
        self._summed[place] = first, len(self.seen[place]), whole
        return self.ends[place][first], whole

    def _state(self, place: int, sums: Sums | None, *, alarm: bool) -> StreamState:
        stream, wealth = self.watched.streams[place], self.wealth[place]
        since, whole = self._since(place) if alarm else (None, Sums())
        show = Wording(self.contract.target, self.watched.scale)
        single = math.nan
        if sums:
            single = stream.bound + deviation.margin(
                sequential.limit(stream.alpha), _unsure(stream, sums), stream.effect, stream.shock
            )
        return StreamState(
            stream=stream.kind.name,
            of_class=stream.of_class,
            slice=stream.slice,
            reference=show.value(stream.kind, stream.reference),
            bound=show.value(stream.kind, stream.bound),
            limit=None if sums is None else show.value(stream.kind, single),
            value=None if sums is None else show.value(stream.kind, stream.kind.sign * sums.deviation),
            log_e=wealth.log_e,
            threshold=math.log(1 / stream.alpha),
            alarm=alarm,
            since=since,
            says=show.sentence(stream.kind, stream.slice, whole, stream.of_class) + self._season(since)
            if alarm
            else "",
        )

    def _season(self, since: str | None) -> str:
        """That a change began in a season which is new to the model, so that nothing can tell them apart."""
        if self.seasons is None or since is None:
            return ""
        season = self.seasons.lacks(periods.exact(since, self.contract.period, "since"))
        return f" (the reference has no {season}: it may be the season)" if season else ""


def _unsure(stream: Watched, sums: Sums) -> Sums:
    """A batch's sums; that the reference is known with an error adds to the variance as rows do."""
    known = (stream.error * sums.size) ** 2 / stream.effect.of(sums).factor
    # The effect stays as it was: blocks have no more company by it.
    grown = (sums.variance + known) / sums.variance if sums.variance else 1.0
    return sums._replace(variance=sums.variance + known, pairs=sums.pairs * grown)


def alarms(states: Iterable[StreamState]) -> list[str]:
    """The names of the streams that have raised the alarm."""
    return [state.stream for state in states if state.alarm]
