"""The prediction log: rows, scores, versions, and the outcomes that callers report later."""

from perenne.serving.log.records import MAX_ID, SKEW, Entry, Label, LabelResult, LogUnavailable
from perenne.serving.log.writer import Log

__all__ = ["MAX_ID", "SKEW", "Entry", "Label", "LabelResult", "Log", "LogUnavailable"]
