"""The Git host: one port (`port.py`), one module per host, and which of them this process runs on."""

from __future__ import annotations

from perenne.common.errors import PerenneError
from perenne.forge.github import GitHub
from perenne.forge.port import Forge

FORGES: tuple[type[Forge], ...] = (GitHub,)

SECRETS = tuple(name for each in FORGES for name in each.secrets)
"""Environment variables that hold a token of any host."""


def current() -> Forge | None:
    """Return the Git host that this process runs on; None outside of its workflows."""
    hosts = (each.from_environment() for each in FORGES)
    return next((host for host in hosts if host is not None), None)


def required() -> Forge:
    """Return the Git host that this process runs on.

    Raises
    ------
    PerenneError
        If it runs on none.

    """
    host = current()
    if host is None:
        names = ", ".join(each.__name__ for each in FORGES)
        raise PerenneError(f"this command runs in the workflows of a Git host ({names}), and this is not one")
    return host
