"""A channel between the processes of a service, in an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from perenne.serving.channel import Channel, Letter


class Mailbox:
    """A channel in an event loop.

    Parameters
    ----------
    channel
        What is read from now on.
    at_once
        What is done with a message of some kind as soon as it arrives. All others wait for `next`.
    lost
        Called once the other end is closed.

    """

    def __init__(
        self,
        channel: Channel,
        at_once: Mapping[str, Callable[[Letter], None]] | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.channel = channel
        self._at_once = at_once or {}
        self._lost = lost
        self._waiting: asyncio.Queue[Letter | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._reads = True
        self._loop.add_reader(channel.fileno(), self._read)

    async def next(self) -> Letter | None:
        """The next message; None once the other end is closed."""
        return await self._waiting.get()

    def stop(self) -> None:
        """Read no more: what arrives from now on stays for whoever reads the channel next."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self.channel.fileno())

    def _read(self) -> None:
        letters = self.channel.receive()
        if letters is None:
            self.stop()
            self._waiting.put_nowait(None)
            self._lost()
            return
        for letter in letters:
            if letter.kind in self._at_once:
                self._at_once[letter.kind](letter)
            else:
                self._waiting.put_nowait(letter)
