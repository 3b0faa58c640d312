"""JSON that a Git host writes: the keys that are needed, in frozen models; all others are ignored."""

from __future__ import annotations

from pydantic import ConfigDict

from perenne.common.typed import Model


class Payload(Model):
    """A frozen model of some keys of a host's JSON. A host may add keys at any time."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, allow_inf_nan=False, validate_default=True
    )
