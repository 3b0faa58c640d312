"""The prediction log: what was predicted, from what, by which version, and what happened then."""

from perenne.serving.log.records import Entry, Label, LabelResult, LogUnavailable
from perenne.serving.log.writer import Log

__all__ = ["Entry", "Label", "LabelResult", "Log", "LogUnavailable"]
