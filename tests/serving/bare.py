"""The floor of the service: its whole job on asyncio and httptools, without a framework, limits or metrics.

    python -m tests.serving.bare PROJECT LOG

It checks the token, reads rows by the same validator, scores by the same tables, and answers when the rows
are in SQLite, in the table of the service's log. It has one route, and trusts that requests are good.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httptools
import uvloop
from pydantic_core import to_json

from perenne.common import model_file
from perenne.common.contract import read_contract
from perenne.serving.rows import InputRow, PredictAdapter
from perenne.serving.scored_rows import new_id
from perenne.serving.scorer import Scorer, scorer
from tests.serving.running import SHA256

INSERT = "INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
TABLE = """CREATE TABLE predictions (
    id VARCHAR(64), stage TEXT, at DATETIME, version TEXT, features TEXT, score DOUBLE,
    PRIMARY KEY (id, stage)
)"""
Written = tuple[object, ...]


class BareServer:
    """Scores together what waits, and writes together what was scored."""

    def __init__(self, adapter: PredictAdapter, trees: Scorer, log: str) -> None:
        self.adapter = adapter
        self._trees = trees
        self._log = sqlite3.connect(log, isolation_level=None, check_same_thread=False)
        for line in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", TABLE):
            self._log.execute(line)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Sequence[InputRow], Callable[[bytes], None]]] = []
        self._jobs: queue.SimpleQueue[tuple[list[Written], Callable[[], None]]] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def predict(self, rows: Sequence[InputRow], answer: Callable[[bytes], None]) -> None:
        """Score rows in the next iteration of the event loop."""
        if not self._waiting:
            self._loop.call_soon(self._score)
        self._waiting.append((rows, answer))

    def _score(self) -> None:
        batch, self._waiting = self._waiting, []
        encoded = [self._trees.encode(row) for rows, _ in batch for row in rows]
        scores = iter(self._trees.score(encoded).tolist())
        now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
        for rows, answer in batch:
            made = [(new_id(), row, next(scores)) for row in rows]
            predictions = [
                {"id": name, "score": score, "class": int(score >= 0.5)} for name, _, score in made
            ]
            body = to_json({"model_version": "v1.0.0", "predictions": predictions})
            entries: list[Written] = [
                (name, "prod", now, "v1.0.0", to_json(row).decode(), score) for name, row, score in made
            ]
            self._jobs.put((entries, partial(answer, body)))

    def _write(self) -> None:
        while True:
            group = [self._jobs.get()]
            while not self._jobs.empty():
                group.append(self._jobs.get())
            self._log.execute("BEGIN IMMEDIATE")
            self._log.executemany(INSERT, [entry for entries, _ in group for entry in entries])
            self._log.execute("COMMIT")
            self._loop.call_soon_threadsafe(_call, [answer for _, answer in group])


class BareProtocol(asyncio.Protocol):
    """One connection, whose requests come one after the other."""

    def __init__(self, server: BareServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._token, self._body = b"", b""

    def connection_made(self, transport: Any) -> None:  # asyncio's own
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._body = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if name.lower() == b"authorization":
            self._token = value.removeprefix(b"Bearer ")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        assert hmac.compare_digest(hashlib.sha256(self._token).hexdigest(), SHA256)
        self._server.predict(self._server.adapter.validate_json(self._body)["rows"], self._answer)

    def _answer(self, body: bytes) -> None:
        if self._transport.is_closing():
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n"
        self._transport.write(head % len(body) + body)


def _call(functions: list[Callable[[], None]]) -> None:
    for function in functions:
        function()


async def main() -> None:
    """Serve the model of a project, and print the address."""
    folder, log = sys.argv[1:]
    os.chdir(folder)
    contract = read_contract("bench")
    pipeline, _ = model_file.load()
    server = BareServer(PredictAdapter(contract, 1_000), scorer(pipeline, contract), log)
    listening = await asyncio.get_running_loop().create_server(lambda: BareProtocol(server), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
