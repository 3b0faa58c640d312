"""The runner of a job."""

from tests.forge.running import runner

__all__ = ["runner"]
