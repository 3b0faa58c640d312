"""What columns are for, and what is odd about them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from perenne.adopt.columns import Guess, guessed
from perenne.common.column import Type

N = 600


def guess(values: object, kind: Type, name: str = "x", missing: int = 0) -> Guess:
    """Return what a column beside a time, a target and a good feature is taken for."""
    rng = np.random.default_rng(3)
    good = rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "seen": pd.date_range("2021-01-01", periods=N, freq="7h"),
            "good": good,
            name: pd.Series(values),
            "y": pd.array((rng.random(N) < 1 / (1 + np.exp(-good))).astype(int), dtype="Int64"),
        }
    )
    if missing:
        frame.loc[: missing - 1, name] = None
    types: dict[str, Type] = {"seen": "datetime", "good": "number", name: kind, "y": "integer"}
    return guessed(frame, types, time="seen", target="y")[name]


def words(count: int) -> list[str]:
    """Return as many rows with so many different words."""
    return [f"word{i % count}" for i in range(N)]


@pytest.mark.parametrize(
    ("name", "values", "kind", "role"),
    [
        ("order", range(1000, 1000 + N), "integer", "entity"),
        ("id", np.random.default_rng(1).permutation(10**6)[:N], "integer", "entity"),
        ("x", np.random.default_rng(1).permutation(10**6)[:N], "integer", "feature"),  # a salary, perhaps
        ("x", [f"P-{i:05d}" for i in range(N)], "category", "entity"),
        ("x", [f"what number {i} said" for i in range(N)], "category", "ignored"),
        ("customer_id", [i // 2 for i in range(N)], "integer", "feature"),
        ("x", [i // 2 for i in range(N)], "integer", "feature"),
        ("x", ["same"] * N, "category", "ignored"),
        ("x", words(5), "category", "slice"),
        ("x", words(60), "category", "feature"),
        ("x", pd.date_range("2020-01-01", periods=N, freq="D"), "datetime", "ignored"),  # later than the row
        ("x", pd.date_range("1980-01-01", periods=N, freq="D"), "datetime", "feature"),
    ],
)
def test_role_follows_from_name_and_values(name: str, values: object, kind: Type, role: str) -> None:
    """An identifier is another in each row and counts up, is called so, or is a word."""
    assert guess(values, kind, name).role[-1] == role


def test_key_that_half_of_the_rows_share_is_set_aside() -> None:
    """A customer's number orders nothing, and the next file has others."""
    found = guess([i - i % 2 * (i % 3 == 0) for i in range(N)], "integer", "customer_id")
    assert (found.role, found.note) == (
        ("ignored",),
        "customer_id: an identifier by its name and values; set aside",
    )


def test_what_was_seen_bounds_what_may_come() -> None:
    """A number may go as far again beyond what was seen; a value seen by one row only says more will come."""
    assert guess(np.linspace(-3, 5, N), "number").range == (-11, 13)
    assert guess(np.linspace(0.1, 5, N), "number").range == (0, 10)
    assert guess([i % 7 for i in range(N)], "integer").range == (0, 6)
    assert guess([*[i % 7 for i in range(N - 1)], 9], "integer").range == (0, 18)
    assert guess(words(3), "category").values == ("word0", "word1", "word2")
    assert guess([*words(3)[1:], "rare"], "category").values is None


def test_missing_values_may_be_missing() -> None:
    """And a column that has none may not."""
    assert guess(words(3), "category", missing=4).missing
    assert not guess(words(3), "category").missing


def knows_all(y: pd.Series) -> pd.Series:
    """Return a column that is the target with a little noise."""
    return y.astype("float64") + np.random.default_rng(5).normal(0, 0.1, len(y))


@pytest.mark.parametrize(
    ("target", "column", "kind", "flagged"),
    [
        (lambda rng: rng.integers(0, 2, N), knows_all, "number", True),
        (lambda rng: rng.integers(0, 2, N), lambda y: -knows_all(y), "number", True),
        (lambda rng: rng.integers(0, 2, N), lambda y: y.map({0: "open", 1: "closed"}), "category", True),
        (lambda rng: rng.normal(size=N), lambda y: 2 * y + 3, "number", True),
        (lambda rng: rng.integers(0, 2, N), lambda y: y + 20 * (knows_all(y) - y), "number", False),
        (lambda rng: rng.integers(0, 2, N), lambda _: pd.Series(words(300)), "category", False),
    ],
)  # fmt: skip
def test_column_that_knows_the_target_is_named(
    target: Callable[[np.random.Generator], object],
    column: Callable[[pd.Series], pd.Series],
    kind: Type,
    flagged: bool,  # noqa: FBT001 -- a parameter
) -> None:
    """It may be known beforehand, so it stays a feature; a person has to say."""
    y = pd.Series(target(np.random.default_rng(4)))
    frame = pd.DataFrame({"seen": pd.date_range("2021-01-01", periods=N), "x": column(y), "y": y})
    types: dict[str, Type] = {"seen": "datetime", "x": kind, "y": "number"}
    found = guessed(frame, types, time="seen", target="y")["x"]
    assert bool("knows y nearly by itself" in found.note) is flagged
    assert found.role[0] == "feature"


def test_second_copy_of_a_column_is_set_aside() -> None:
    """It says nothing new; the first stays."""
    x = np.random.default_rng(2).normal(size=N)
    frame = pd.DataFrame(
        {"seen": pd.date_range("2021-01-01", periods=N), "a": x, "b": x, "y": np.arange(N) % 2}
    )
    types: dict[str, Type] = {"seen": "datetime", "a": "number", "b": "number", "y": "integer"}
    found = guessed(frame, types, time="seen", target="y")
    assert (found["a"].role, found["b"].role, found["b"].about) == (
        ("feature",),
        ("ignored",),
        "a copy of a",
    )


@pytest.mark.parametrize(
    ("stations", "gone", "role"), [(3, 0, "entity"), (3, 50, "entity"), (3, 400, "slice")]
)
def test_things_that_have_a_row_at_each_time_are_entities(stations: int, gone: int, role: str) -> None:
    """Some may be missing; where half are, it is another kind of table."""
    days = np.repeat(pd.date_range("2021-01-01", periods=N // stations), stations)
    frame = pd.DataFrame(
        {"seen": days, "at": np.resize(list("abc"), N), "y": np.random.default_rng(1).normal(size=N)}
    )
    kept = frame.drop(index=list(np.random.default_rng(6).choice(N, gone, replace=False))).reset_index(
        drop=True
    )
    types: dict[str, Type] = {"seen": "datetime", "at": "category", "y": "number"}
    found = guessed(kept, types, time="seen", target="y")["at"]
    assert found.role == (("feature", "entity", "slice") if role == "entity" else ("feature", "slice"))
