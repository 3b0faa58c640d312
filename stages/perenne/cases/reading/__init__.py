"""Files as people have them, read as tables: by their ending, and by the contract's key `read`."""

from perenne.cases.reading.kinds import KINDS, header, pieces, unlike

__all__ = ["KINDS", "header", "pieces", "unlike"]
