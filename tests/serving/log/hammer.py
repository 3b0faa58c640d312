"""Writes into a log until it is killed: `python -m tests.serving.log.hammer URL PREFIX`.

It prints one line for each id as soon as it is acknowledged or rejected.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime

from perenne.serving.log import Entry, Log, LogUnavailable

CALLERS = 16


def entry(name: str) -> Entry:
    """Return a prediction."""
    return Entry(name, datetime.now(UTC), "prod", "v1.0.0", '{"age": 61.5}', 0.25)


async def caller(log: Log, prefix: str) -> None:
    """Write one prediction after the other."""
    number = 0
    while True:
        number += 1
        name = f"{prefix}-{number}"
        try:
            await log.append([entry(name)])
        except LogUnavailable:
            print("refused", name, flush=True)
            await asyncio.sleep(0.01)
        else:
            print("kept", name, flush=True)


async def main() -> None:
    """Run all callers at once."""
    log = Log(sys.argv[1])
    await asyncio.gather(*(caller(log, f"{sys.argv[2]}-{n}") for n in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
