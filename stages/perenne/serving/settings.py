"""The section `serve` of params.yaml."""

from __future__ import annotations

import hashlib
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from perenne.common.sections import section
from perenne.common.typed import Model

Mode = Literal["commit", "async"]
TokenRole = Literal["predict", "label", "admin"]
NO_TOKEN = hashlib.sha256(b"").hexdigest()


def _of_a_token(sha256: str) -> str:
    if sha256 == NO_TOKEN:
        raise ValueError("that is the sha256 of nothing: printf %s TOKEN | sha256sum, with a token")
    return sha256


SHA256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$"), AfterValidator(_of_a_token)]
Hashes = Annotated[tuple[SHA256, ...], Field(strict=False)]  # YAML has lists where Python has tuples
ROLES: tuple[TokenRole, ...] = get_args(TokenRole)


class Tokens(Model):
    """The sha256 of tokens, by what they allow: to predict, to report outcomes, to reload.

    What only reports, such as metrics and the model's card, is answered to every one of them.
    """

    predict: Hashes = ()
    label: Hashes = ()
    admin: Hashes = ()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address. A name other than localhost may resolve anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ServeSettings(Model):
    """Where the service listens, which requests it accepts, and how it logs predictions."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port
    token_sha256: SHA256 | None = None  # of a token that allows everything
    tokens: Tokens = Tokens()
    workers: PositiveInt = 1  # processes that serve
    poll_seconds: Annotated[float, Field(gt=0)] = 30
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5  # the lowest score of class 1, of an event
    max_rows: PositiveInt = 1_000  # per request
    max_body: PositiveInt = 1_000_000  # bytes per request
    max_connections: PositiveInt = (
        1_000  # open at the same time, of a worker; fewer if the system allows few open files
    )
    request_seconds: Annotated[float, Field(gt=0)] = 20  # until a request must have arrived
    budget_ms: Annotated[float, Field(gt=0)] = (
        100  # p99 latency of a single row that a version may have to be deployed
    )
    log: Mode = "commit"
    log_url: str = "sqlite:///data/predictions.sqlite"

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if not self.allowed and not is_loopback(self.host):
            raise ValueError(
                f"host: {self.host} can be reached from other machines: set token_sha256, "
                "the sha256 of a token that clients send, or tokens, or listen on 127.0.0.1"
            )
        return self

    @cached_property
    def allowed(self) -> dict[str, frozenset[TokenRole]]:
        """The roles of each token, by its sha256; empty if none is needed."""
        roles: dict[str, frozenset[TokenRole]] = (
            {self.token_sha256: frozenset(ROLES)} if self.token_sha256 else {}
        )
        for role in ROLES:
            for sha256 in getattr(self.tokens, role):
                roles[sha256] = roles.get(sha256, frozenset()) | {role}
        return roles


def load(**options: object) -> ServeSettings:
    """The settings of the working tree; options of the command line take precedence (None: not set).

    Parameters
    ----------
    options
        Values by the section's keys.

    Raises
    ------
    PerenneError
        If params.yaml cannot be read, or the section or an option is wrong; names the key.

    """
    return section("serve", ServeSettings, None, **options)
