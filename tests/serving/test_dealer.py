"""Connections are dealt in turn, and none is lost with a worker that has not taken it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from perenne.serving.channel import MOST_FILES
from perenne.serving.dealer import Dealer
from tests.serving.ends import Worker


@pytest.fixture
def dealer() -> Iterator[Dealer]:
    """Return a dealer on a port of this machine."""
    listening = socket.create_server(("127.0.0.1", 0))
    dealt = Dealer([listening.detach()])
    yield dealt
    dealt.close()


def connect(dealer: Dealer, number: int) -> list[socket.socket]:
    """Connect, and have it accepted, so many times."""
    address = dealer.sockets[0].getsockname()
    made = []
    for _ in range(number):
        made.append(socket.create_connection(address, timeout=30))
        dealer.accept(dealer.sockets[0])
    return made


def test_in_turn(dealer: Dealer, three: list[Worker]) -> None:
    """Each worker gets every second connection, and it is that of who has connected."""
    workers = three[:2]
    for worker in workers:
        dealer.add(worker.child)
    clients = connect(dealer, 4)
    for place, worker in enumerate(workers):
        letters = worker.got()
        assert [letter.kind for letter in letters] == ["connection"] * 2
        for client, letter in zip(clients[place::2], letters, strict=True):
            os.write(letter.files[0], b"here")
            assert client.recv(9) == b"here"
        dealer.taken(worker.child, 2)
        worker.let_go()
    for client, worker in zip(clients, workers * 2, strict=True):
        assert client.recv(9) == b"", worker.child.pid  # nobody holds it any more
        client.close()


def test_lost_worker(dealer: Dealer, three: list[Worker]) -> None:
    """What a worker that ends has not taken goes to another one, and nothing does that it has."""
    first, second, _ = three
    dealer.add(first.child)
    clients = connect(dealer, 3)
    assert len(first.got()) == 3
    dealer.taken(first.child, 1)
    dealer.add(second.child)
    dealer.lost(first.child)
    first.let_go()
    assert clients[0].recv(9) == b""
    assert len(second.got()) == 2
    for client in clients:
        client.close()


def test_hanging_worker(dealer: Dealer, three: list[Worker]) -> None:
    """A worker that takes nothing gets no more than others leave it; the dealer is full once all are so."""
    hangs, works, _ = three
    dealer.add(hangs.child)
    dealer.add(works.child)
    clients = []
    for _ in range(10):
        clients += connect(dealer, 1)
        dealer.taken(works.child, len(works.got()))
    assert len(hangs.got()) == 1
    dealer.leave(works.child)
    clients += connect(dealer, MOST_FILES - 2)
    assert not dealer.full
    clients += connect(dealer, 1)
    assert dealer.full
    for client in clients:
        client.close()
