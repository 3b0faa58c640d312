"""The runner of a job, and its Git host."""

from tests.actions.running import host, runner

__all__ = ["host", "runner"]
