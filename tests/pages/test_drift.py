"""The drift report in HTML: the advice comes first, and everything is escaped."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from perenne.common.errors import PerenneError
from perenne.documents.drift import (
    CovariateTest,
    DriftAdvice,
    DriftBatch,
    DriftLevel,
    DriftReport,
    EstimatedMetric,
    EstimatedPerformance,
    ReferenceSpan,
    StreamState,
)
from perenne.pages.drift import ADVICE, MOST_BATCHES, listed, render, table

REPORT = DriftReport(
    advice=DriftAdvice(level="look", reasons=("age moved", "more rows than expected")),
    reference=ReferenceSpan(first="2014Q1", last="2019Q4", rows=216_000),
    batches=(
        DriftBatch(
            period="2020Q1",
            rows=9_501,
            matured=9_501,
            level="none",
            reasons=(),
            covariates=(),
            predictions={},
            volume={},
            concept=(),
        ),
        DriftBatch(
            period="2020Q2",
            rows=9_502,
            matured=0,
            level="look",
            reasons=("age moved by 0.31",),
            covariates=(
                CovariateTest(
                    feature="site", importance=0.01, test="chi2", effect=0.01, p=0.9, q=0.9, alarm=False
                ),
                CovariateTest(
                    feature="age", importance=0.2, test="ks", effect=0.31, p=1e-15, q=3e-14, alarm=True
                ),
                CovariateTest(
                    feature="sex", importance=None, test="chi2", effect=0.02, p=0.7, q=0.8, alarm=False
                ),
            ),
            predictions={"mean_score": 0.0912},
            volume={"expected": 9_400},
            concept=(
                StreamState(
                    stream="above",
                    slice=None,
                    reference=1.01,
                    bound=1.05,
                    limit=1.15,
                    value=1.22,
                    log_e=6.5,
                    threshold=5.3,
                    alarm=True,
                    since="2020Q1",
                    says="more events than predicted: 122 where 100 were expected",
                ),
            ),
        ),
    ),
    cumulative=(),
)
EMPTY = REPORT.model_copy(update={"batches": ()})


class Page(HTMLParser):
    """A fragment as a browser parses it: its tags and its text; every tag must be closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag that was opened last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember a text."""
        self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each of these tags."""
        return [attributes for name, attributes in self.tags if name == tag]


def rows_of(html: str, caption: str) -> list[list[str]]:
    """Return the cells of a table, by its caption."""
    body = html.partition(f"<caption>{caption}</caption>")[2].partition("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


@pytest.mark.parametrize("level", list(ADVICE))
def test_advice_is_one_line_and_comes_first(level: DriftLevel) -> None:
    """The first line is enough; its class adds a colour, but the words do not need it."""
    html = render(REPORT.model_copy(update={"advice": DriftAdvice(level=level, reasons=())}))
    first = html.index(ADVICE[level])
    assert f'<p class="advice {level}">{ADVICE[level]}</p>' in html
    assert first < html.index("<table")


@pytest.mark.parametrize("level", [None, "", "Retrain", 3, ["look"]])
def test_unknown_advice_is_refused(level: object) -> None:
    """A report with an unknown or missing advice cannot be read, so it is never shown as an all-clear."""
    content = REPORT.to_json()
    content["advice"]["level"] = level
    with pytest.raises(PerenneError, match=r"^drift\.json: advice\.level: "):
        DriftReport.from_json(content, "drift.json")


def test_reasons_keep_their_rank() -> None:
    """The report ranks its reasons; the page numbers them."""
    assert "<ol><li>age moved</li><li>more rows than expected</li></ol>" in render(REPORT)


def test_batches_are_in_a_table_and_the_last_one_is_open() -> None:
    """Each batch has its line; the newest is unfolded, and first."""
    html = render(REPORT)
    assert rows_of(html, "Batches, oldest first")[1:] == [
        ["2020Q1", "9,501", "9,501", "none"],
        ["2020Q2", "9,502", "0", "look"],
    ]
    assert re.findall(r"<details( open)?><summary>([^<]*)", html) == [
        (" open", "2020Q2: look"),
        ("", "2020Q1: none"),
    ]


def test_features_are_ranked_by_importance() -> None:
    """The most important feature comes first, one whose importance is not known last."""
    html = render(REPORT)
    features = rows_of(html, "Features, the most important to the model first")
    assert features == [
        ["Feature", "Alarm", "Importance", "Test", "Effect", "q"],
        ["age", "yes", "0.2", "ks", "0.31", "3e-14"],
        ["site", "no", "0.01", "chi2", "0.01", "0.9"],
        ["sex", "no", "-", "chi2", "0.02", "0.8"],
    ]
    assert html.count('<tr class="alarm">') == 2


def test_streams_say_what_moved_since_when() -> None:
    """Loss, calibration and ranking: then, now, how much evidence, and the first period of the change."""
    [_, stream] = rows_of(render(REPORT), "Concept: do the outcomes still match?")
    assert stream == ["more than predicted", "yes", "1.22", "1.01", "1.05", "1.15", "123%", "2020Q1"]


def test_estimates_stand_beside_what_then_came() -> None:
    """One line a batch; without labels nothing has come yet, and outside of validation there is none."""
    loss = EstimatedMetric(metric="log_loss", estimate=0.231, low=0.22, high=0.242)
    estimates = (
        EstimatedPerformance(outside=0, metrics=(loss.model_copy(update={"realised": 0.25}),)),
        EstimatedPerformance(outside=0.01, metrics=(loss,)),
        EstimatedPerformance(outside=0.12),
    )
    batches = tuple(
        REPORT.batches[0].model_copy(update={"period": f"2020Q{number}", "estimated": each})
        for number, each in enumerate(estimates, start=1)
    )
    html = render(REPORT.model_copy(update={"batches": batches})).replace("\N{NO-BREAK SPACE}", "_")
    assert rows_of(html, "Estimated without labels, with 95 % intervals") == [
        ["Period", "Log loss", "By labels"],
        ["2020Q1", "0.231 (0.22_to_0.242)", "0.25"],
        ["2020Q2", "0.231 (0.22_to_0.242)", "-"],
    ]
    assert "No estimate for 2020Q3: 12% of its rows are unlike any of validation." in html
    assert "holds only while outcomes depend on features as they did on validation" in html
    assert "without labels" not in render(REPORT)


def test_figures_without_a_table_of_their_own_are_shown_by_key() -> None:
    """Predictions and volume are shown as they are."""
    html = render(REPORT)
    assert rows_of(html, "Predictions")[1:] == [["mean score", "0.0912"]]
    assert rows_of(html, "Volume")[1:] == [["expected", "9,400"]]


def hostile(node: Any) -> Any:
    """Return the content of a report with markup in every text, and in the keys of its figures."""
    if isinstance(node, dict):
        free = {'<i>"&': 1.0} if node.keys() & {"mean_score", "expected"} else {}
        return {key: value if key == "level" else hostile(value) for key, value in node.items()} | free
    if isinstance(node, list):
        return [hostile(item) for item in node]
    return f"</td><script>'{node}\"" if isinstance(node, str) else node


def test_nothing_in_a_report_becomes_markup() -> None:
    """Names of columns and categories come from outside."""
    tame, wild = (
        Page(render(REPORT)),
        Page(render(DriftReport.from_json(hostile(REPORT.to_json()), "drift.json"))),
    )
    assert not wild.named("script")
    assert not wild.named("i")
    assert "</td><script>'age\"" in wild.text
    assert {tag for tag, _ in wild.tags} == {tag for tag, _ in tame.tags}


@pytest.mark.parametrize(
    "content",
    [{}, {"schema": 2}, {"schema": 1, "batches": [{}]}, REPORT.to_json() | {"reference": None}],
)
def test_incomplete_report_is_refused(content: dict[str, Any]) -> None:
    """A report of another version, or one that lacks a part, cannot be read."""
    with pytest.raises(PerenneError, match=r"^drift\.json: "):
        DriftReport.from_json(content, "drift.json")


def test_no_batch_is_said() -> None:
    """The page says that there was nothing to compare."""
    assert "no batch after the reference yet" in render(EMPTY)


def test_fragment_is_accessible() -> None:
    """Every table has a caption, headings with a scope, and a box that the keyboard can scroll."""
    page = Page(render(REPORT))
    assert len(page.named("caption")) == len(page.named("table")) == len(page.named("thead")) == 5
    assert all(th["scope"] in ("col", "row") for th in page.named("th"))
    assert all(div["tabindex"] == "0" and div["aria-label"] for div in page.named("div"))
    assert len(page.named("h1")) == 1


def test_fragment_stands_alone() -> None:
    """Its style is in it, for light and dark; it loads nothing."""
    html = render(REPORT)
    assert "prefers-color-scheme: dark" in html
    assert not re.search(r"src=|href=|url\(|@import", html)


def test_empty_tables_and_lists_are_not_there() -> None:
    """There is no heading without content."""
    assert table("Nothing", [], {"a": "A"}) == listed([]) == ""


def test_page_of_many_batches_shows_the_latest() -> None:
    """It says how many are left out, and where they are."""
    many = [REPORT.batches[0].model_copy(update={"period": f"hour {n}"}) for n in range(MOST_BATCHES + 1_200)]
    html = render(REPORT.model_copy(update={"batches": tuple(many)}))
    assert "1,200 earlier batches are in drift.json." in html
    assert html.count("<details") == MOST_BATCHES
    assert "hour 1199:" not in html
    assert "hour 1200:" in html
    assert "earlier batches" not in render(REPORT)
