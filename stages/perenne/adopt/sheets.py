"""Which sheet of a workbook holds the table, and where on it the table begins."""

from __future__ import annotations

import pandas as pd

from perenne.adopt.wishes import Ask
from perenne.cases.reading import workbook
from perenne.cases.reading.packed import Part
from perenne.common.errors import PerenneError, hint

SAMPLE = 60  # rows that show it
MOST_ABOVE = 20  # rows above the names
NAMED = 0.8  # of the columns have a name
FEWEST_ROWS = 5  # below the names: a note or a key has fewer


def of(part: Part, wished: str | None, ask: Ask) -> tuple[str | None, int]:
    """The sheet with the table, None if it is the first; and how many rows stand above the names.

    Parameters
    ----------
    part
        The workbook.
    wished
        The sheet that the user names.
    ask
        Called where several sheets hold a table.

    Raises
    ------
    PerenneError
        If no sheet holds one, or nobody is there to be asked.

    """
    cells = workbook.sheets(part, SAMPLE)
    names = list(cells)
    if wished is not None and wished not in names:
        raise PerenneError(f"--sheet {wished}: {part.name} has none of this name; {hint(wished, names)}")
    begins = {name: _above(cells[name]) for name in names if wished in (None, name)}
    tables = {name: above for name, above in begins.items() if above is not None}
    if not tables:
        raise PerenneError(
            f"{part.name}: no sheet ({', '.join(begins)}) has names of columns with {FEWEST_ROWS} rows or "
            "more below them; remove what stands around the table"
        )
    sheet = next(iter(tables))
    if len(tables) > 1:
        sheet = ask(f"{part.name}: several sheets hold a table; which one", list(tables), "--sheet")
    return None if sheet == names[0] else sheet, tables[sheet]


def _above(cells: pd.DataFrame) -> int | None:
    """How many rows stand above the names of a table; None if there is none."""
    filled = cells.notna().sum(axis=1).to_numpy()
    if not len(filled) or filled.max() < 2:
        return None
    wide = filled >= max(2, NAMED * filled.max())
    first = int(wide.argmax())
    return first if first <= MOST_ABOVE and (filled[first + 1 :] > 1).sum() >= FEWEST_ROWS else None
