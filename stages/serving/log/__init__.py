"""The prediction log: what was predicted, from what, by which version, and what happened then."""

from stages.serving.log.records import Entry, Label, LabelResult, LogUnavailable
from stages.serving.log.writer import Log

__all__ = ["Entry", "Label", "LabelResult", "Log", "LogUnavailable"]
