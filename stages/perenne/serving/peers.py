"""The other workers of a service, as one of them knows them: by way of the supervisor.

One follows the tag and says what it serves; the others do the same, so that the remote is asked once, and all
agree on the version, the shadow and what was refused. Each loads and proves its version by itself.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

from pydantic import ConfigDict, Field

from perenne.common.typed import Model, parse
from perenne.serving.channel import Channel, Letter


class _Said(Model):
    model_config = ConfigDict(extra="ignore")  # a newer Perenne may say more


class StageState(_Said):
    """What is served of a stage, and what is refused and why, as `Refusal` has it.

    `folder` has the files of the version: they are downloaded once for all workers.
    """

    version: str | None
    folder: str | None
    refused: Annotated[tuple[str, str], Field(strict=False)] | None
    swaps: int
    refusals: int


class ServiceState(_Said):
    """What the first worker serves; the number counts what it has said."""

    number: int
    prod: StageState
    shadow: StageState


class WorkerStanding(_Said):
    """Why a worker cannot write its log, and why it does not serve what it should; None where all is well."""

    failing: str | None = None
    refused: str | None = None


class ReloadAnswer(_Said):
    """What became of a request to read the registry; `why` it could not be."""

    version: str = ""
    swapped: bool = False
    why: str | None = None


class Peers:
    """The other workers.

    Parameters
    ----------
    channel
        To the supervisor.
    leads
        Whether this worker follows the tag.

    Attributes
    ----------
    leads
        The same, now.
    others
        How each of the others is, by its process.

    """

    def __init__(self, channel: Channel, *, leads: bool) -> None:
        self.leads = leads
        self.others: dict[int, WorkerStanding] = {}
        self._channel = channel
        self._number = 0
        self._standing = WorkerStanding()
        self._telling: dict[int, asyncio.Future[None]] = {}
        self._asking: list[asyncio.Future[ReloadAnswer]] = []

    def tell(self, prod: StageState, shadow: StageState) -> asyncio.Future[None]:
        """Say what this worker serves.

        Returns
        -------
        Future
            Is done once all others serve it, or have refused it, or have ended.

        """
        self._number += 1
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._telling[self._number] = heard
        self._send("state", **ServiceState(number=self._number, prod=prod, shadow=shadow).model_dump())
        return heard

    def heard(self, letter: Letter) -> None:
        """All others have heard what this worker has said up to a number."""
        for number in [known for known in self._telling if known <= letter.number("number")]:
            heard = self._telling.pop(number)
            if not heard.done():
                heard.set_result(None)

    def does(self, state: ServiceState) -> None:
        """Say that this worker does as the first one."""
        self._number = state.number  # it may have to lead one day
        self._send("heard", number=state.number)

    async def reload(self) -> ReloadAnswer:
        """Have the first worker read the registry."""
        answer: asyncio.Future[ReloadAnswer] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self._send("reload")
        return await answer

    def reloaded(self, letter: Letter) -> None:
        """The first worker has read it."""
        answer = parse(ReloadAnswer, dict(letter.says), "the worker that follows the tag")
        for asking in self._asking:
            if not asking.done():
                asking.set_result(answer)
        self._asking.clear()

    def answer(self, reloaded: ReloadAnswer) -> None:
        """Say what became of it."""
        self._send("reloaded", **reloaded.model_dump())

    def stand(self, standing: WorkerStanding) -> None:
        """Say how this worker is, if that has changed."""
        if standing != self._standing:
            self._standing = standing
            self._send("standing", **standing.model_dump())

    def stands(self, letter: Letter) -> None:
        """Another worker has said how it is; one that has ended is well."""
        standing = parse(WorkerStanding, dict(letter.says), "another worker")
        self.others.pop(letter.number("pid"), None)
        if standing != WorkerStanding():
            self.others[letter.number("pid")] = standing

    @property
    def failing(self) -> str | None:
        """Why one of the others cannot write its log."""
        return next((one.failing for one in self.others.values() if one.failing), None)

    @property
    def refused(self) -> str | None:
        """Why one of the others does not serve what it should."""
        return next((one.refused for one in self.others.values() if one.refused), None)

    def _send(self, kind: str, **says: object) -> None:
        with suppress(OSError):  # the supervisor was killed: this process ends
            self._channel.send(kind, **says)
