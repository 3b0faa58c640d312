"""What is replayed: a case's history, from which first model, at what costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import pandas as pd
from pydantic import Field, PositiveInt

from perenne.cases.source import Source, source_of
from perenne.common import periods, strict_yaml
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import CASES, PARAMS
from perenne.common.params import Params, Split, read_params
from perenne.common.periods import Unit
from perenne.common.typed import Model, parse
from perenne.gate.policy import GateSection, Policy
from perenne.loop import settings as loop
from perenne.loop.decide import Debounce

Fixed = Annotated[tuple[PositiveInt, ...], Field(strict=False)]
Pair = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
Names = Annotated[tuple[str, ...], Field(strict=False)]


class Grid(Model):
    """Which params of the triggered policy are tried."""

    periods_per_false_alarm: Fixed = (40, 160, 640)
    alarms: Annotated[tuple[Pair, ...], Field(strict=False)] = ((1, 1), (2, 3))  # of windows
    cool_down: Fixed = (1, 3, 5)


class ReplaySettings(Model):
    """`data/cases/NAME/replay.yaml`. What is left out: all of the history, from the first model it allows."""

    start: str | None = None  # of the history, where it is simulated
    as_of: str | None = None  # of the first model
    through: str | None = None  # the last batch that a model is judged on
    period: Unit | None = None  # of a batch, instead of the contract's
    window: PositiveInt | None = None  # instead of the case's, in those periods
    holdout: PositiveInt | None = None
    breaks: Names = ()  # where known: the first batches whose labels are of a new world
    every: Fixed = (4, 8, 12)  # periods: the fixed schedules to be compared with
    cost: float = Field(default=0.01, ge=0)  # of a retraining and of a false alarm, in loss of one batch
    periods_per_false_alarm: int | None = Field(default=None, ge=2)  # instead of `drift`'s
    loop: Debounce | None = None  # instead of the params' own
    grid: Grid = Grid()


class Plan(NamedTuple):
    """A case as it is replayed, with one seed."""

    params: Params
    contract: Contract
    settings: ReplaySettings
    gate: Policy
    debounce: Debounce
    seed: int

    @property
    def case(self) -> str:
        """The folder under `data/cases/`."""
        return self.params.case

    @property
    def breaks(self) -> list[pd.Period]:
        """The first batches of a new world, oldest first."""
        return sorted(self.period("breaks", text) for text in self.settings.breaks)

    def period(self, key: str, text: str) -> pd.Period:
        """A period of `replay.yaml`."""
        return periods.parse(text, self.contract.period, f"{path(self.case)}: {key}")

    def cut(self, as_of: pd.Period) -> Cut:
        """The cut of params.yaml with another `as_of`."""
        split = self.params.split
        return Cut(as_of, split.window, split.holdout, self.contract.label_delay)


def path(case: str) -> Path:
    """Where the settings of a case are."""
    return CASES / case / "replay.yaml"


def load(case: str | None = None, seed: int = 0) -> Plan:
    """The plan of a case, by default the current one; params are those of the root if it is current.

    Parameters
    ----------
    case
        A folder under `data/cases/`; None: the current case.
    seed
        Of the history, where it is simulated.

    Raises
    ------
    PerenneError
        If a file of the case is wrong, or a seed other than 0 is given for a history that is not simulated.

    """
    chosen, contract, file = _chosen(case)
    own = path(chosen.case)
    settings = parse(ReplaySettings, strict_yaml.load(own), str(own)) if own.exists() else ReplaySettings()
    split = chosen.split.model_dump()
    split |= {key: value for key in ("window", "holdout") if (value := getattr(settings, key))}
    if settings.period:
        contract = contract.model_copy(update={"period": settings.period})
    return Plan(
        chosen.model_copy(
            update={"split": Split(**split), "ingest": _ingest(chosen, settings, contract, seed, file)}
        ),
        contract,
        settings,
        Policy.of(parse(GateSection, chosen.gate, f"{file}: gate"), chosen.tolerance),
        settings.loop or _debounce(chosen, file),
        seed,
    )


def held(case: str | None = None) -> Cut:
    """Where a case itself cuts history: its holdout is what the gate judges by; arguments as for `load`."""
    chosen, contract, file = _chosen(case)
    return Cut.of(chosen.split, contract, str(file))


def _chosen(case: str | None) -> tuple[Params, Contract, Path]:
    """The params and the contract of a case, and the file of the params."""
    current = read_params()
    file = PARAMS if case in (None, current.case) else CASES / str(case) / "params.yaml"
    contract = read_contract(case or current.case)
    return current if file == PARAMS else read_params(file), contract, file


def _debounce(chosen: Params, file: Path) -> Debounce:
    """Of the section `loop`, what decides when to retrain."""
    settings = parse(loop.LoopSettings, chosen.loop, f"{file}: loop")
    return Debounce(**settings.model_dump(include=set(Debounce.model_fields)))


def _ingest(chosen: Params, settings: ReplaySettings, contract: Contract, seed: int, file: Path) -> Source:
    """The source of the batches: up to the last that is judged, and until its labels have matured."""
    source = source_of(chosen.ingest, chosen.case, str(file))
    change: dict[str, Any] = {}  # by key of the source, whose model checks the values
    if settings.through:
        last = periods.parse(settings.through, contract.period, f"{path(chosen.case)}: through")
        change["through"] = str(last + contract.label_delay)
    if source.simulated:
        change |= {"seed": seed} | ({"start": settings.start} if settings.start else {})
    elif seed:
        raise PerenneError(f"--seeds: {chosen.case} has one history, so there is one seed; leave it out")
    return source.model_copy(update=change)
