"""What has arrived is what the stages would make of it, whatever a single row says."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from perenne.loop import arrivals
from tests import tiny

NOW = datetime(2130, 1, 1)


@pytest.mark.parametrize("moment", ["soon", "", "2121-03-01", "0001-01-01"])
def test_one_bad_time_in_many_stops_nothing(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined in the batch of its neighbours, and no period is the newest because of it."""
    monkeypatch.chdir(tmp_path)
    path = Path(tiny.INPUT)
    path.parent.mkdir(parents=True)
    bad = tiny.row(99, "2021-02").replace("2021-02-16", moment)
    path.write_text(tiny.table(*tiny.MONTHS).replace("0,2021-03", f"{bad}\n0,2021-03", 1), encoding="utf-8")
    p, contract = tiny.params(), tiny.contract()
    newest = arrivals.newest(p, contract, None, NOW)
    with arrivals.arrived(p, contract, newest) as come:
        kept = {str(period): len(come.clean(period)) for period in come.files}
    assert (str(newest), kept) == ("2021-04", dict.fromkeys(tiny.MONTHS, 20))
