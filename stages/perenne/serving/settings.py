"""The section `serve` of params.yaml."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from perenne.common.sections import section
from perenne.common.typed import Model

Mode = Literal["commit", "async"]


def _loopback(host: str) -> bool:
    """Whether only this machine can reach an address. A name other than localhost may resolve anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ServeSettings(Model):
    """Where the service listens, which requests it accepts, and how it logs predictions."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port
    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    poll_seconds: Annotated[float, Field(gt=0)] = 30
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5  # the lowest score of class 1
    max_rows: PositiveInt = 1_000  # per request
    max_body: PositiveInt = 1_000_000  # bytes per request
    budget_ms: Annotated[float, Field(gt=0)] = (
        100  # p99 latency of a single row that a version may have to be deployed
    )
    log: Mode = "commit"
    log_url: str = "sqlite:///data/predictions.sqlite"

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if not self.token_sha256 and not _loopback(self.host):
            raise ValueError(
                f"host: {self.host} can be reached from other machines: set token_sha256, "
                "the sha256 of a token that clients send, or listen on 127.0.0.1"
            )
        return self


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
