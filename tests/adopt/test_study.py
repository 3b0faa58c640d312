"""What files hold is found out without being told; what cannot be is asked, or refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.adopt.study import Studied, study
from perenne.adopt.wishes import Wishes
from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Params
from perenne.common.typed import parse


def refuse(question: str, answers: Sequence[str], option: str) -> str:
    """Answer nothing, as where no terminal is."""
    raise PerenneError(f"{question}: {' or '.join(answers)}; {option} says which")


def staff(rows: int = 2400) -> pd.DataFrame:
    """Return a company's list as a French office would export it."""
    rng = np.random.default_rng(9)
    years = rng.gamma(3, 4, rows).round(2)
    return pd.DataFrame(
        {
            "identité": np.arange(rows),
            "entrée": pd.date_range("2019-01-01", periods=rows, freq="12h").strftime("%d/%m/%Y"),
            "ancienneté": [f"{year:.2f}".replace(".", ",") for year in years],
            "catégorie": rng.choice(["cadre", "ouvrier", "employé", "ingénieur"], rows),
            "départ": np.where(rng.random(rows) < 1 / (1 + np.exp(3 - years / 6)), "oui", "non"),
        }
    )


def visits(rows: int = 1200, **columns: Any) -> pd.DataFrame:
    """Return visits of a year, whose outcome goes with their size."""
    rng = np.random.default_rng(2)
    size = rng.normal(size=rows).round(3)
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", "2024-12-31", periods=rows).strftime("%Y-%m-%d %H:%M"),
            "size": size,
            "won": (rng.random(rows) < 1 / (1 + np.exp(-size))).astype(int),
        }
    )
    return frame.assign(**columns)


def studied(path: Path, frame: pd.DataFrame | str | bytes, **wishes: object) -> Studied:
    """Return what is found in a file with these rows."""
    if isinstance(frame, pd.DataFrame):
        frame.to_csv(path, index=False)
    else:
        path.write_bytes(frame.encode() if isinstance(frame, str) else frame)
    return study([path], Wishes(**wishes), refuse)  # type: ignore[arg-type]  # given by the tests


ZIPPED = {"method": "zip", "archive_name": "a.csv"}


def contract(found: Studied) -> Contract:
    """Return the contract that was found, read back."""
    assert parse(Params, strict_yaml.loads(found.params), "params.yaml").case == found.name
    return parse(Contract, strict_yaml.loads(found.contract), "contract.yaml")


def test_semicolons_commas_accents_and_days_first(tmp_path: Path) -> None:
    """The whole of an office's export, taken in as it is."""
    content = staff().to_csv(index=False, sep=";").encode("latin-1")
    found = contract(studied(tmp_path / "Liste du personnel.csv", content))
    assert found.read.model_dump(exclude_defaults=True) == {
        "delimiter": ";",
        "encoding": "cp1252",
        "decimal": ",",
        "dates": ("%d/%m/%Y",),
    }
    assert {name: (c.type, c.role) for name, c in found.columns.items()} == {
        "identité": ("integer", ("entity",)),
        "entrée": ("datetime", ("time",)),
        "ancienneté": ("number", ("feature",)),
        "catégorie": ("category", ("feature", "slice")),
        "départ": ("boolean", ("target",)),
    }
    assert found.columns["départ"].values == ("non", "oui")


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        (".csv.gz", lambda frame, path: frame.to_csv(path, index=False)),
        (".zip", lambda frame, path: frame.to_csv(path, index=False, compression=ZIPPED)),
        (".tsv", lambda frame, path: frame.to_csv(path, index=False, sep="\t")),
        (".json", lambda frame, path: frame.to_json(path, orient="records")),
        (".jsonl", lambda frame, path: frame.to_json(path, orient="records", lines=True)),
        (".parquet", lambda frame, path: frame.to_parquet(path)),
        (".feather", lambda frame, path: frame.to_feather(path)),
        (".xlsx", lambda frame, path: frame.to_excel(path, index=False)),
    ],
)  # fmt: skip
def test_every_kind_of_file_gives_the_same_contract(
    tmp_path: Path, ending: str, write: Callable[[pd.DataFrame, Path], None]
) -> None:
    """Whether its values are typed or texts."""
    same = contract(studied(tmp_path / "visits.csv", visits())).columns
    path = tmp_path / f"other{ending}"
    write(visits(), path)
    assert contract(study([path], Wishes(), refuse)).columns == same


def test_several_files_are_one_history(tmp_path: Path) -> None:
    """With the columns in another order too."""
    whole = visits()
    whole[:600].to_csv(tmp_path / "a.csv", index=False)
    whole[600:][["won", "when", "size"]].to_csv(tmp_path / "b.csv", index=False)
    found = study([tmp_path / "a.csv", tmp_path / "b.csv"], Wishes(target="won"), refuse)
    assert (found.chosen.unit, found.chosen.batches) == ("month", 12)


@pytest.mark.parametrize(
    ("target", "kind", "task", "words"),
    [
        ([0, 1], "integer", "binary", None),
        ([0.0, 1.0], "integer", "binary", None),
        (["yes", "no", "no"], "boolean", "binary", None),
        (["good", "bad", "good"], "boolean", "binary", ("good", "bad")),  # the rarer is the event
        ([1, 2, 2], "boolean", "binary", ("2", "1")),
        ([3, 4, 5, 7], "integer", "regression", None),
        ([3.5, 4, 5, 7], "number", "regression", None),
    ],
)
def test_task_follows_from_the_target(
    tmp_path: Path, target: list[object], kind: str, task: str, words: tuple[str, str] | None
) -> None:
    """Any two values are binary, and what is predicted is said."""
    found = contract(studied(tmp_path / "a.csv", visits(won=np.resize(np.array(target, dtype=object), 1200))))
    column = found.columns["won"]
    assert (column.type, str(found.task)) == (kind, task)
    assert column.values == (words or ((0, 1) if kind == "integer" and task == "binary" else None))


def test_user_says_which_value_is_positive(tmp_path: Path) -> None:
    """The chance that is given is that of this one."""
    frame = visits(won=np.resize(["good", "bad", "good"], 1200))
    assert contract(studied(tmp_path / "a.csv", frame, positive="good")).columns["won"].values == (
        "bad",
        "good",
    )


@pytest.mark.parametrize(
    ("times", "dates"),
    [
        (np.linspace(1_600_000_000, 1_650_000_000, 1200).astype(int), ("seconds",)),
        (np.resize(np.arange(1961, 2021), 1200), ("%Y",)),
    ],
)
def test_integers_called_a_time_are_times(tmp_path: Path, times: object, dates: tuple[str, ...]) -> None:
    """Seconds since 1970, or years."""
    found = studied(tmp_path / "a.csv", visits(when=times))
    assert contract(found).read.dates == dates
    assert found.chosen.unit == ("year" if dates == ("%Y",) else "month")


def test_labels_that_are_still_to_come_are_late(tmp_path: Path) -> None:
    """The holes at the end of the target say by how many periods."""
    frame = visits()
    frame["won"] = frame["won"].astype("Int64").mask(frame["when"] >= "2024-11")
    found = studied(tmp_path / "a.csv", frame)
    assert contract(found).label_delay == 2
    assert contract(found).columns["won"].missing


def test_rows_without_time_are_taken_in_their_order(tmp_path: Path) -> None:
    """And it says what that costs; each of several files is a batch."""
    frame = visits()[["size", "won"]]
    found = studied(tmp_path / "a.csv", frame)
    assert contract(found).read.batch == 60
    assert (found.chosen.unit, found.chosen.batches) == ("day", 20)
    assert "no column says when a row was, so 60 rows in the order of the file are a batch" in found.notes[-1]
    paths = [tmp_path / f"{i}.csv" for i in range(6)]
    for i, path in enumerate(paths):
        frame[200 * i : 200 * (i + 1)].to_csv(path, index=False)
    found = study(paths, Wishes(), refuse)
    assert contract(found).read.batch == "file"
    assert found.chosen.batches == 6


def test_what_is_asked_on_a_terminal_is_answered_there(tmp_path: Path) -> None:
    """Day or month first, and which of two times."""
    frame = visits(when=np.resize(["01/02/2021", "03/04/2021", "05/06/2021", "07/08/2021"], 1200))
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False)
    asked: list[tuple[str, Sequence[str], str]] = []

    def second(question: str, answers: Sequence[str], option: str) -> str:
        asked.append((question, answers, option))
        return answers[1]

    assert contract(study([path], Wishes(), second)).read.dates == ("%m/%d/%Y",)
    assert asked == [
        ("when: '01/02/2021' may have the day or the month first", ["%d/%m/%Y", "%m/%d/%Y"], "--dates")
    ]
    assert contract(study([path], Wishes(dates=("%d/%m/%Y",)), refuse)).read.dates == ("%d/%m/%Y",)


def target(*values: object) -> pd.DataFrame:
    """Return visits whose outcomes are these, over and over."""
    return visits(won=np.resize(np.array(values, dtype=object), 1200))


def dated(*times: str) -> pd.DataFrame:
    """Return visits at these times, over and over."""
    return visits(when=np.resize(times, 1200))


def zoned() -> pd.DataFrame:
    """Return visits with two offsets in their times."""
    frame = visits()
    return frame.assign(when=frame["when"] + np.resize(["+01:00", "+02:00"], 1200))


def twice() -> pd.DataFrame:
    """Return visits with two times, neither of which orders the rows."""
    frame = visits().rename(columns={"when": "made"})
    frame.insert(0, "paid", frame["made"].to_numpy()[::-1])
    return frame.sample(frac=1, random_state=1)


LATE = visits(won=[*[0, 1] * 300, *[None] * 600])
WRONG: dict[str, tuple[object, dict[str, object], str]] = {
    "empty": ("", {}, "is empty; the first line must name the columns"),
    "no header": ("1,2\n3,4\n", {}, "its first line is data ('1,2')"),
    "one column": ("a\n1\n2\n", {}, "no column is separated from another"),
    "header alone": ("a,b\n", {}, "has a header and no row"),
    "binary": (b"\x00\x01,\x02\n" * 50, {}, "is not a text file"),
    "few rows": (visits(30), {}, "30 rows with a time; at least 40 are needed"),
    "no such target": (visits(), {"target": "wno"}, "--target wno: no such column; did you mean 'won'?"),
    "no such time": (visits(), {"time": "wen"}, "--time wen: no such column; did you mean 'when'?"),
    "target is time": (visits(), {"target": "when", "time": "when"}, "--target when: is the time as well"),
    "time is none": (visits(), {"time": "size"}, " is not a date or a time; --dates says how"),
    "one value": (target(1), {}, "won: has one value; a target has two or more"),
    "no value": (target(None), {}, "won: has no value; a target has two or more"),
    "many words": (
        target(*range(10, 50), "x"),
        {"task": "binary"},
        "41 values is not a target of a binary task",
    ),
    "no such task": (visits(), {"task": "rank"}, "--task: found 'rank', must be 'binary', 'multiclass' or"),
    "wrong task": (target(*range(9)), {"task": "binary"}, "9 values is not a target of a binary task"),
    "no such positive": (target("a", "b"), {"positive": "c"}, "--positive c: must be one of the two"),
    "too short": (dated("2024-01-01"), {}, "its times lie in 1 hour; a history needs 4 batches"),
    "too long a period": (visits(), {"period": "year"}, "1 year; a history needs 4 batches at least: a"),
    "day or month": (dated("01/02/2021", "03/04/2021"), {}, "--dates says which"),
    "two times": (twice(), {}, "paid or made; --time says which"),
    "two offsets": (zoned(), {}, "several offsets from UTC (+01:00 and +02:00); --zone names the clocks"),
    "sorted": (visits()[["size", "won"]].sort_values("won"), {}, "rows are sorted by won"),
    "nothing to learn": (visits(size=1), {}, "no column is left to learn from; size: has one value"),
    "late labels": (LATE, {"period": "quarter"}, "a history of 4 is too short"),
}


@pytest.mark.parametrize(("content", "wishes", "says"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_one_line_that_says_what_to_do(
    tmp_path: Path, content: pd.DataFrame | str | bytes, wishes: dict[str, object], says: str
) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(PerenneError) as caught:
        studied(tmp_path / "a.csv", content, **wishes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_two_files_must_agree(tmp_path: Path) -> None:
    """Which column, and in which file."""
    visits().to_csv(tmp_path / "a.csv", index=False)
    visits().rename(columns={"size": "length"}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(
        PerenneError, match=r"b\.csv: column 'length' is not in all files; .*a\.csv has when, size"
    ):
        study([tmp_path / "a.csv", tmp_path / "b.csv"], Wishes(), refuse)


def test_names_that_no_contract_can_have_are_left_out(tmp_path: Path) -> None:
    """Pandas' own index has none, and another model's prediction is no feature."""
    path = tmp_path / "a.csv"
    visits(prediction=0.5)[["prediction", "when", "size", "won"]].to_csv(path)
    found = study([path], Wishes(), refuse)
    assert list(contract(found).columns) == ["when", "size", "won"]
    assert found.notes[:2] == [
        "column '' has no name; left out",
        "column 'prediction' is the column of scores by its name; left out",
    ]


def test_nested_json_is_refused(tmp_path: Path) -> None:
    """A table has one value a cell."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a": {"b": 1}, "y": 1}] * 50), encoding="utf-8")
    with pytest.raises(PerenneError, match="a"):
        study([path], Wishes(), refuse)
