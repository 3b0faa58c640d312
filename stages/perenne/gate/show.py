"""A verdict as people read it: a table on the terminal, Markdown in a pull request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from perenne.common import batches

if TYPE_CHECKING:  # it brings scikit-learn with it: two seconds
    from perenne.gate.verdict import Verdict

HEAD = ("rule", "against", "answer", "measured", "bounds", "needed", "")
MARKS = {
    "pass": "✅",
    "fail": "❌",
    "undecided": "❔",
    "not judged": "⬜",
    "eligible": "✅",
    "rejected": "❌",
}


def headline(verdict: Verdict) -> str:
    """The verdict in a line.

    >>> headline({"case": "rain", "answer": "rejected", "why": "slices against v1.0.0 in prod"})
    'rain: rejected: slices against v1.0.0 in prod'
    """
    return f"{verdict['case']}: {verdict['answer']}: {verdict['why']}"


def text(verdict: Verdict) -> str:
    """The line, the rules one by one, what was compared, and what alpha is left."""
    rules = tabulate(list(map(_row, verdict["rules"])), HEAD, tablefmt="plain", disable_numparse=True)
    blocks = [headline(verdict), rules if verdict["rules"] else "", "\n".join(notes(verdict))]
    return "\n\n".join(filter(None, blocks))


def markdown(verdict: Verdict) -> str:
    """The same as Markdown, with all slices, folded."""
    blocks = [f"{MARKS[verdict['answer']]} **{plain(headline(verdict))}**", rules(verdict)]
    blocks += [
        f"<details><summary>{title}</summary>\n\n{table}\n\n</details>" for title, table in slices(verdict)
    ]
    blocks += ["\n".join(f"- {plain(note)}" for note in notes(verdict))]
    return "\n\n".join(filter(None, blocks)) + "\n"


def rules(verdict: Verdict) -> str:
    """The rules one by one, as a table in Markdown."""
    return _table(verdict["rules"]) if verdict["rules"] else ""


def slices(verdict: Verdict) -> list[tuple[str, str]]:
    """For each opponent a title, and all slices as a table in Markdown."""
    return [
        (f"All slices against {plain(rule['against'])}", _table(rule["parts"]))
        for rule in verdict["rules"]
        if rule["parts"]
    ]


def write(verdict: Verdict, json: Path | None, page: Path | None) -> None:
    """Write the verdict into the files that are asked for."""
    if json:
        batches.write_json(json, verdict)
    if page:
        with batches.replacing(page) as temporary:
            temporary.write_text(markdown(verdict), encoding="utf-8")


def notes(verdict: Verdict) -> Iterator[str]:
    """What is to be known beside the rules."""
    intent = {"better": "must be better", "fresher": "need not be better: only its data are newer"}
    if verdict["champion"]:
        yield f"{verdict['policy']['metric']} {intent[verdict['intent']]}; a gain is how much better it is"
    held = verdict["holdout"]
    yield f"holdout {held['from']} to {held['to']}: {held['rows']:,} rows in {held['blocks']:,} blocks"
    if "alpha" in verdict:
        alpha = verdict["alpha"]
        yield (
            f"alpha: look {alpha['look']} at this holdout spends {alpha['spent']:.2g}; "
            f"of {alpha['total']:g}, {alpha['left']:.2g} is left"
        )
    if verdict["policy_from"]:
        yield f"policy of commit {verdict['policy_from'][:7]}"


def plain(text: str) -> str:
    r"""Text that Markdown and HTML take for nothing but text.

    >>> print(plain("site=<b>|x`"))
    site=&lt;b&gt;\|x\`
    """
    for character, harmless in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, harmless)
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#" else c for c in text.replace("\n", " "))
    return escaped.replace("@", "@\N{ZERO WIDTH SPACE}")  # GitHub tells whoever is called so


def _table(findings: list[dict[str, Any]]) -> str:
    rows = [[plain(cell) for cell in _row(found)] for found in findings]
    for row, found in zip(rows, findings, strict=True):
        row[2] = f"{MARKS[found['answer']]} {row[2]}"
    return tabulate(rows, HEAD, tablefmt="github", disable_numparse=True)


def _row(found: dict[str, Any]) -> list[str]:
    says = [found["says"]]
    if found["answer"] == "undecided" and found["more_blocks"] != 0:
        more = found["more_blocks"]
        says.append(
            f"{more:,.0f} more blocks would decide"
            if more is not None
            else "no number of blocks would decide"
        )
    bounds = "" if found["low"] is None else f"[{number(found['low'])}, {number(found['high'])}]"
    needed = found["needed"]
    return [
        found["rule"],
        found["against"],
        found["answer"],
        number(found["value"]),
        bounds,
        needed,
        "; ".join(filter(None, says)),
    ]


def number(value: float | None) -> str:
    """Four digits that matter.

    >>> number(0.0012345), number(1234567.0), number(None)
    ('0.001234', '1.235e+06', '-')
    """
    return "-" if value is None else f"{value:.4g}"
