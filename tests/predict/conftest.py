"""The running service that a batch is compared with."""

from tests.serving.conftest import served

__all__ = ["served"]
