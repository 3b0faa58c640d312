"""Validate: rows that break the contract go to quarantine with the broken rules; the others are kept."""

from __future__ import annotations

from collections import Counter
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.errors import SchemaErrors

from perenne.common import batches, disk, params, periods, project_code, strict_yaml, versions
from perenne.common.column import Column
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError, hint
from perenne.common.features import BatchFeatures
from perenne.common.names import BROKEN_RULES, CLEAN, DAG, HISTORY, QUARANTINE, RAW, VALIDATION
from perenne.common.project_code import CodeError
from perenne.compute import engine
from perenne.compute.settings import Compute
from perenne.documents.validation import ValidationCounts, ValidationReport
from perenne.pipeline.quick_check import QuickCheck


class Checked(NamedTuple):
    """A batch in two parts.

    `kept` has the contract's types. `quarantined` has the values as they arrived, and a column
    `broken_rules`. `broken` has one line per broken rule: `row` (counted from 0), `column`, `rule`, `value`.
    `contract` says what the rows must be.
    """

    kept: pd.DataFrame
    quarantined: pd.DataFrame
    broken: pd.DataFrame
    contract: Contract

    def counts(self) -> ValidationCounts:
        """Rows in, kept and quarantined, and how many rows broke each rule (a row may break several)."""
        kept, quarantined = len(self.kept), len(self.quarantined)
        rules = dict(sorted(Counter(self.broken["column"] + ": " + self.broken["rule"]).items()))
        return ValidationCounts(rows=kept + quarantined, kept=kept, quarantined=quarantined, rules=rules)


def validate(raw: pd.DataFrame, period: pd.Period, contract: Contract, *, matured: bool) -> Checked:
    """Check a batch against its contract.

    Parameters
    ----------
    raw
        The rows as they arrived, with at least the contract's columns.
    period
        The period that every row must lie in.
    contract
        What the rows must be.
    matured
        The labels are known by now, so a missing one breaks the contract unless it allows missing values.

    Returns
    -------
    Each row is in exactly one of the two parts.

    """
    raw = raw.reset_index(drop=True)
    frame = pd.DataFrame(
        {name: _typed(raw[name], column, contract.zone) for name, column in contract.raw.items()}
    )
    broken = broken_cells(raw, frame, _schema(period, contract, matured=matured))
    # The latest version makes the others outdated even if it is bad itself. Repeats come last, among good
    # rows only: a bad row must not displace a good one.
    old = frame.index[versions.outdated(frame, contract)]
    good = frame[~frame.index.isin([*broken["row"], *old])]
    why = {versions.OUTDATED: old, **_by_rule(versions.repeats(good, contract))}
    again = [_again(frame.loc[rows], contract, rule) for rule, rows in why.items() if len(rows)]
    broken = pd.concat([broken, *again], ignore_index=True)
    rules = rules_by_row(broken)
    checked = Checked(
        frame.drop(index=rules.index),
        raw.loc[rules.index].assign(**{BROKEN_RULES: rules}),
        broken,
        contract,
    )
    assert len(raw) == len(checked.kept) + len(checked.quarantined)  # noqa: S101 -- the promise of the stage
    return checked


def broken_cells(raw: pd.DataFrame, frame: pd.DataFrame, schema: pandera.DataFrameSchema) -> pd.DataFrame:
    """The cells that break a rule, each with the first one that it breaks.

    Parameters
    ----------
    raw
        The rows as they arrived, with rows numbered from 0 and at least the columns of `frame`.
    frame
        The same rows in the contract's types.
    schema
        The rules; the `error` of a check is the name of its rule.

    Returns
    -------
    DataFrame
        One line for each cell: `row`, `column`, `rule`, `value`.

    """
    lost = raw[list(frame.columns)].notna() & frame.isna()
    unread = [_broken(raw[name], lost[name], name) for name in frame.columns[lost.any()]]
    # A value that could not be read is now missing too: only the first rule of a cell counts, types first.
    return pd.concat([*unread, _contradictions(frame, schema)]).drop_duplicates(["row", "column"])


def none_broken() -> pd.DataFrame:
    """What `broken_cells` returns if no rule is broken."""
    return pd.DataFrame(columns=["row", "column", "rule", "value"])


def rules_by_row(broken: pd.DataFrame) -> pd.Series:
    """The rules that each row breaks, as one text, by the row's number; rows that break none are left out."""
    rules: pd.Series = (broken["column"] + ": " + broken["rule"]).groupby(broken["row"]).agg("; ".join)
    return rules


def _typed(values: pd.Series, column: Column, zone: str | None) -> pd.Series:
    """As `batches.typed`; what `ingest` stored as times, it has read by the zone's clocks already."""
    return batches.typed(values, column, None if pd.api.types.is_datetime64_any_dtype(values) else zone)


def _contradictions(frame: pd.DataFrame, schema: pandera.DataFrameSchema) -> pd.DataFrame:
    """The rules that pandera finds broken: range, category, missing, outside its period, in the future."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        return pd.DataFrame(
            {
                "row": cases["index"].astype("int64"),
                "column": cases["column"],
                "rule": cases["check"].replace({"not_nullable": "missing"}),  # the others: see `_checks`
                "value": cases["failure_case"].astype("str"),
            }
        )
    return none_broken()


def _by_rule(why: pd.Series) -> dict[str, pd.Index]:
    return {rule: why.index[why == rule] for rule in (versions.REPEATED, versions.CONTRADICTION)}


def _again(rows: pd.DataFrame, contract: Contract, rule: str) -> pd.DataFrame:
    """Rows that do not count, as another has their entity and time."""
    key = [*contract.entity, contract.time]
    value = ["; ".join(map(str, row)) for row in rows[key].itertuples(index=False)]
    return pd.DataFrame({"row": rows.index, "column": "+".join(key), "rule": rule, "value": value})


def _schema(period: pd.Period, contract: Contract, *, matured: bool) -> pandera.DataFrameSchema:
    columns = {
        name: pandera.Column(
            nullable=column.missing or (name == contract.target and not matured),
            checks=_checks(column, period, contract.zone, is_time=name == contract.time),
        )
        for name, column in contract.raw.items()
    }
    return pandera.DataFrameSchema(columns)


def _checks(column: Column, period: pd.Period, zone: str | None, *, is_time: bool) -> list[pandera.Check]:
    checks = []
    if allowed := column.limits or column.moments(zone):
        checks.append(pandera.Check.in_range(*allowed, error="range"))
    first, last = periods.bounds(period, zone)
    if is_time:
        checks.append(pandera.Check.in_range(first, last, error="outside its period"))
    elif column.type == "datetime" and "version" not in column.role:
        # A date after the row's own period cannot have been known in that period.
        checks.append(pandera.Check.le(last, error="in the future"))
    if column.values and column.type != "boolean":  # in words it is read by its type
        values = column.categories if column.type == "category" else column.values
        checks.append(pandera.Check.isin(list(values), error="category"))
    return checks


def _broken(values: pd.Series, where: pd.Series, column: str) -> pd.DataFrame:
    bad = values[where]
    return pd.DataFrame({"row": bad.index, "column": column, "rule": "type", "value": bad.astype("str")})


class BatchCheck:
    """Checks batches one by one: quickly, and in detail those that do not plainly keep the contract.

    Parameters
    ----------
    contract
        What the rows must be.
    through
        The last period that has arrived, by which labels are known.
    most
        The share of a batch's rows that may be bad, in [0, 1].

    """

    def __init__(self, contract: Contract, through: pd.Period, most: float) -> None:
        self.contract, self.through, self.most = contract, through, most
        self._quick = QuickCheck(contract)

    def details(self, table: pa.Table, period: pd.Period, path: Path) -> Checked | None:
        """The two parts of a batch; None if all of it is kept as it is.

        Parameters
        ----------
        table
            The batch as it was read.
        period
            The period that every row must lie in.
        path
            What errors call the batch.

        Raises
        ------
        PerenneError
            If it lacks a column, or too many of its rows break the contract.

        """
        matured = period + self.contract.label_delay <= self.through
        if self._quick.keeps(table, period, matured=matured):
            return None
        raw = batches.as_read(table, nullable=True)
        absent = [name for name in self.contract.raw if name not in raw]
        if absent:
            raise PerenneError(f"{path}: no column {absent[0]!r}; {hint(absent[0], raw.columns)}")
        checked = validate(raw, period, self.contract, matured=matured)
        problem = too_many(checked, path, self.most)
        if problem:
            raise PerenneError(problem)
        return checked

    def kept(self, table: pa.Table, period: pd.Period, path: Path) -> pd.DataFrame:
        """The rows of a batch that keep the contract, in its types; arguments and errors as for `details`."""
        checked = self.details(table, period, path)
        return checked.kept if checked else batches.to_frame(table)


IN_ORDER = Compute()  # in this process
MOST_NAMED = 10  # values that an error lists
READ_AS = {
    "boolean": "true or false, yes or no, 1 or 0",
    "integer": "a whole number",
    "number": "a number such as 1.5",
    "datetime": "a date such as 2021-09-30",
}


def too_many(checked: Checked, path: Path, most: float) -> str | None:
    """The text of the error if more than the share `most` of a batch breaks the contract, else None.

    Repeated and outdated rows are in quarantine too, but they do not count here.

    Parameters
    ----------
    checked
        The batch in two parts.
    path
        What the text calls the batch.
    most
        A share of the rows, in [0, 1].

    """
    broken = checked.broken[~checked.broken["rule"].isin(versions.RESOLVED)]
    bad, total = broken["row"].nunique(), len(checked.kept) + len(checked.quarantined)
    if bad <= most * total:
        return None
    worst = Counter(sorted(broken["column"] + ": " + broken["rule"])).most_common(3)
    first = broken.iloc[0]
    return (
        f"{path}: {bad} of {total} rows ({bad / total:.1%}) break the contract, at most {most:.1%} may "
        f"(validate.max_quarantined_share). Worst: {', '.join(f'{rule} ({n})' for rule, n in worst)}. "
        f"First: row {first['row']}, {first['column']}, {first['rule']}, found {first['value']!r}"
        f"{_instead(first['rule'], checked.contract.columns.get(first['column']))}"
    )


def _short(edge: float | str) -> str:
    return edge if isinstance(edge, str) else f"{edge:.15g}"


def _instead(rule: str, column: Column | None) -> str:
    """What a value must be that breaks a rule, as the end of a sentence; "" where the rule says it."""
    if column is None:  # the rule is about several columns
        return ""
    allowed = column.categories or column.values or ()
    accepted = {
        "type": " or ".join(column.categories) if column.words else READ_AS.get(column.type, ""),
        "range": " to ".join(map(_short, column.range or ())),
        "category": ", ".join(map(str, allowed[:MOST_NAMED])) + ", ..." * (len(allowed) > MOST_NAMED),
    }.get(rule)
    return f", must be {accepted}" if accepted else ""


def at_row(error: CodeError, path: Path, rows: pd.Index) -> PerenneError:
    """The same error, beginning with the file and the row if it is of one.

    Parameters
    ----------
    error
        Of the project's code.
    path
        The file.
    rows
        The numbers of the rows that the code was given.

    """
    return error if error.row is None else PerenneError(f"{path}: row {rows[error.row]}: {error}")


def _lists_store() -> bool:
    """Whether `dvc.yaml` has the store among the stage's outputs: those of older projects have not."""
    outs = strict_yaml.load(DAG)["stages"]["validate"].get("outs", [])
    return str(HISTORY) in [out if isinstance(out, str) else next(iter(out)) for out in outs]


def main() -> None:
    """Write `data/clean/`, `data/quarantine/` and the counts; nothing if a batch has too many bad rows.

    The rows in `data/clean/` have the derived features too, each as known at the time of its row, and
    `data/history.parquet` has what later rows need to know of each entity.

    Raises
    ------
    PerenneError
        If a batch lacks a column, too many of its rows break the contract, or a derived feature cannot be
        made.

    """
    p = params.load("validate")
    contract = read_contract(p.case)
    if contract.remembered and not _lists_store():
        raise PerenneError(
            f"{DAG}: stages.validate.outs: lacks {HISTORY}, which later rows' features need; "
            f"add `- {HISTORY}`"
        )
    files = batches.listed(RAW, contract)
    check = BatchCheck(contract, max(files), p.validation.max_quarantined_share)
    derived = BatchFeatures(contract)
    with (
        # Features that look back need the batches in their order, one after another.
        engine.opened(IN_ORDER if contract.remembered else None) as workers,
        disk.filling(CLEAN) as clean,
        disk.filling(QUARANTINE) as quarantine,
    ):
        work = partial(_validated, check, derived, clean, quarantine)
        items = list(files.items())
        # Of the project's code this process must load what a batch needs: only here it is known whose it is.
        here = [work(item) for item in items[:1] if contract.coded]
        done = [*here, *workers.map(work, items[len(here) :], title="validate", unit="batch")]
        if contract.coded:
            project_code.check_deps("validate")
        if contract.remembered or _lists_store():  # DVC wants each output, one that nobody reads as well
            batches.write_parquet(HISTORY, derived.store())
    counts = {str(period): counted for period, counted in zip(files, done, strict=True)}
    ValidationReport(batches=counts, total=ValidationCounts.total(counts.values())).write(VALIDATION)


def _validated(
    check: BatchCheck,
    derived: BatchFeatures,
    clean: disk.Filling,
    quarantine: disk.Filling,
    item: tuple[pd.Period, Path],
) -> ValidationCounts:
    """Write the two parts of a batch; return their counts."""
    period, path = item
    table = batches.read_table(path)
    checked = check.details(table, period, path)
    with clean.replacing(path.name) as temporary:
        batches.encode(temporary, _kept(table, checked, derived, period, path))
    with quarantine.replacing(path.name) as temporary:
        if checked:
            batches.encode(temporary, batches.to_table(checked.quarantined))
        else:
            temporary.write_bytes(_empty(table.schema, _without_type(table)))
    return checked.counts() if checked else _all_kept(len(table))


def _kept(
    table: pa.Table, checked: Checked | None, derived: BatchFeatures, period: pd.Period, path: Path
) -> pa.Table:
    """The rows that are kept, with their derived features."""
    contract = derived.contract
    if checked is None and not contract.derived:
        return table.combine_chunks()
    rows = checked.kept if checked else batches.to_frame(table)
    try:
        return batches.to_table(derived.add(rows, period), batches.schema(contract))
    except CodeError as error:
        raise at_row(error, path, rows.index) from error


def _all_kept(rows: int) -> ValidationCounts:
    return ValidationCounts(rows=rows, kept=rows, quarantined=0, rules={})


def _without_type(table: pa.Table) -> frozenset[str]:
    """The columns of truths that have missing ones: a frame of what arrived has no type for them."""
    return frozenset(f.name for f in table.schema if pa.types.is_boolean(f.type) and table[f.name].null_count)


@cache
def _empty(schema: pa.Schema, without_type: frozenset[str]) -> bytes:
    """The file of a quarantine without rows, as `Checked.quarantined` of such a batch would be written."""
    raw = batches.as_read(schema.empty_table(), nullable=True)
    rows = raw.astype(dict.fromkeys(without_type, "object")).copy()  # of hundreds of columns in one piece
    rows[BROKEN_RULES] = None
    file = BytesIO()
    batches.encode(file, batches.to_table(rows))
    return file.getvalue()
