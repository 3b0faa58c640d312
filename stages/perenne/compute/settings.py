"""The section `compute` of params.yaml: where the work of stages and commands runs.

No stage declares it: it changes no result, so changing it reruns nothing.
"""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import PARAMS
from perenne.common.typed import Model, parse

VARIABLE = "PERENNE_COMPUTE"  # what it holds counts more than the params: they are of all machines
LOCAL: Final = "local"
KEY = f"{PARAMS}: compute"
TCP, TLS = "tcp://", "tls://"


class Compute(Model):
    """Where work runs.

    Parameters
    ----------
    engine
        `local`: on this machine. `dask`: on the cluster of `scheduler`.
    workers
        How many processes of this machine; 1: in this one.
    scheduler
        The address of a Dask scheduler. Off this machine it must begin with `tls://`: who can speak to a
        scheduler runs code on all of its workers.

    """

    engine: Literal["local", "dask"] = LOCAL
    workers: int = Field(default=1, ge=1, le=1024)
    scheduler: str | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.scheduler is not None:
            _must_be_safe(self.scheduler)
        if self.engine == "dask" and self.scheduler is None:
            raise ValueError(
                "scheduler: missing; the engine dask needs an address such as tls://10.0.0.1:8786"
            )
        return self


def load() -> Compute:
    """The section as params.yaml and the variable `PERENNE_COMPUTE` have it.

    The variable holds `local` or a scheduler's address.

    Raises
    ------
    PerenneError
        Names the key or the variable, the value and what would be accepted.

    """
    tree = strict_yaml.load(PARAMS) if PARAMS.exists() else {}
    content = tree.get("compute") or {}
    if not isinstance(content, dict):
        raise PerenneError(f"{KEY}: expected a mapping, found {content!r:.60}")
    chosen = os.environ.get(VARIABLE)
    if not chosen:
        return parse(Compute, content, str(PARAMS), prefix="compute")
    if chosen == LOCAL:
        return parse(Compute, content | {"engine": LOCAL}, str(PARAMS), prefix="compute")
    try:
        _must_be_safe(chosen)
    except ValueError as error:
        raise PerenneError(f"{VARIABLE}: {error}, or {LOCAL}") from error
    return parse(Compute, content | {"engine": "dask", "scheduler": chosen}, str(PARAMS), prefix="compute")


def _must_be_safe(address: str) -> None:
    """Check an address: one of another machine must be encrypted, and prove who speaks."""
    host, _, port = address.removeprefix(TCP).removeprefix(TLS).rpartition(":")
    if not address.startswith((TCP, TLS)) or not host or not port.isdigit():
        raise ValueError(f"scheduler: found {address!r}, must be an address such as tls://10.0.0.1:8786")
    if address.startswith(TCP) and not _is_loopback(host):
        raise ValueError(
            f"scheduler: found {address!r}, must begin with {TLS}: who can speak to a scheduler on a network "
            "runs code on its workers"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
