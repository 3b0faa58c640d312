"""The page of a review: the verdict first, whatever the change has in it, and never too long for GitHub."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from perenne.documents.drift import DriftAdvice, DriftLevel
from perenne.documents.evaluation import FoldMetric, MeasuredFold
from perenne.documents.review import (
    BatchChange,
    PairedFold,
    PairedMetric,
    PairedSlice,
    ParamChange,
    PlotRows,
    Review,
    ReviewAnswer,
    ReviewedFigure,
    Rival,
    ValidationReview,
)
from perenne.documents.verdict import (
    AlphaSpent,
    Holdout,
    MetricInterval,
    ModelFile,
    OpponentMetric,
    OpponentRecord,
    PolicyRecord,
    RuleAnswer,
    RuleFinding,
    Verdict,
)
from perenne.pages import charts
from perenne.pages import review as page

GITHUB = 65_536  # characters that a comment may have
HOSTILE = "<img src=x onerror=alert(1)>|`@everyone`\n# [link](javascript:x) ```"


def finding(
    rule: str, against: str, answer: RuleAnswer = "pass", value: float | None = 0.1, **more: Any
) -> RuleFinding:
    """Return the finding of a rule."""
    return RuleFinding(
        rule=rule, against=against, answer=answer, value=value, low=-0.1, high=0.2, needed="> 0", **more
    )


def interval(value: float) -> MetricInterval:
    """Return an estimate with its bounds."""
    return MetricInterval(value=value, low=value - 0.01, high=value + 0.01)


def figure(value: float) -> ReviewedFigure:
    """Return an estimate with its bounds."""
    return ReviewedFigure(value=value, low=value - 0.01, high=value + 0.01)


def pair(gain: float) -> PairedMetric:
    """Return the loss of a change that is better by so much."""
    return PairedMetric(value=0.5, theirs=0.5 + gain, gain=figure(gain))


def validated(slices: int = 2, name: str = "slice", *warnings: str, paired: bool = True) -> ValidationReview:
    """Return the validation of a better model with so many slices, the first of which got worse."""
    rival = Rival(name="v1.0.0 in prod", own={"log_loss": 0.33})
    if paired:
        rival = rival.model_copy(
            update={
                "metrics": {"log_loss": PairedMetric(value=0.21, theirs=0.31, gain=figure(0.1))},
                "folds": (PairedFold(first="2018", last="2018", loss=pair(0.2)),),
                "slices": tuple(
                    PairedSlice(name=f"{name}={i}", rows=5, loss=pair(0.02 * (i - 1))) for i in range(slices)
                ),
            }
        )
    fold = MeasuredFold(
        first="2018",
        last="2018",
        learned=1234,
        rows=567,
        metrics={"log_loss": FoldMetric(value=0.5, dummy=0.75)},
    )
    return ValidationReview(
        loss="log_loss",
        metrics={"log_loss": figure(0.21)},
        folds=(fold,),
        warnings=warnings,
        rivals=(rival,),
    )


def judged(slices: int = 2, name: str = "slice") -> Verdict:
    """Return the verdict on a better model with so many slices."""
    parts = tuple(finding("slices", f"{name}={i}", value=0.01 * (i - 1)) for i in range(slices))
    theirs = OpponentMetric(value=0.3, low=0.29, high=0.31, gain=interval(0.1))
    return Verdict(
        case="rain",
        challenger=ModelFile(sha256="a" * 64, size=1),
        champion="v1.0.0",
        base="b" * 40,
        intent="better",
        change=None,
        policy=PolicyRecord(intent="auto", alpha=0.05, metric="log_loss", rules={}),
        policy_from="0" * 40,
        holdout=Holdout(md5="5" * 32, batches={}, first="2020", last="2021", rows=10, blocks=5),
        answer="eligible",
        why="all rules pass",
        opened=True,
        against=("c" * 64,),
        rules=(finding("improvement", "v1.0.0"), finding("slices", "v1.0.0", parts=parts)),
        alpha=AlphaSpent(look=1, spent=0.03, total=0.05, left=0.02),
        metrics={"log_loss": interval(0.2)},
        opponents=(OpponentRecord(name="v1.0.0 in prod", size=1, metrics={"log_loss": theirs}),),
    )


def advice(level: DriftLevel, *reasons: str) -> DriftAdvice:
    """Return the advice of the stage `drift`."""
    return DriftAdvice(level=level, reasons=reasons)


def made(slices: int = 2, name: str = "slice", **changed: Any) -> Review:
    """Return a review of a better model with so many slices."""
    calm = advice("none", "nothing has changed")
    return Review(
        case="rain",
        answer="eligible",
        head="a" * 40,
        base="b" * 40,
        fork="b" * 40,
        trust="rerun",
        lock="as committed",
        costs={"train": (1.0, 100.0)},
        costs_before={"train": (2.0, 50.0)},
        params=(ParamChange(key="train.seed", before="0", after="1"),),
        data=(),
        plots=PlotRows(
            reliability=(("0.1", "0.2", "0.1"),),
            timeline=(("2020", "1", "2"), ("2021", "2", "3")),
        ),
        drift=calm,
        drift_before=calm,
        validation=validated(slices, name),
        gate=judged(slices, name),
    ).model_copy(update=changed)


def test_verdict_comes_first() -> None:
    """One line that a manager understands."""
    first = page.page(made()).splitlines()[0]
    assert first == "## ✅ rain: can be merged: it is better than v1.0.0 in log\\_loss"


def test_every_answer_has_a_mark() -> None:
    """Whatever a review can say is seen at a glance."""
    assert set(page.MARKS) == set(get_args(ReviewAnswer))


def test_metrics_of_validation_stand_beside_the_other_models() -> None:
    """A gain whose interval excludes 0 is marked."""
    text = page.page(made())
    assert "### Validation\n" in text
    assert re.search(r"log\\_loss\*\* +\| 0.21 \[0.2, 0.22\] +\| 0.31 +\| 0.1 \[0.09, 0.11\] ▲", text)


def test_figures_without_an_interval_say_why() -> None:
    """Five events tell nothing: neither the metric nor the gain has bounds or a mark."""
    few = ReviewedFigure(value=0.21, low=None, high=None)
    gain = PairedMetric(value=0.21, theirs=0.31, gain=ReviewedFigure(value=0.1, low=None, high=None))
    review = validated().model_copy(
        update={
            "metrics": {"log_loss": few},
            "too_few": "5 blocks with an event are too few to tell",
            "dependence": "rows of one day share 0.1 of their variance: each day is a block",
            "rivals": (Rival(name="v1", own={}, metrics={"log_loss": gain}),),
        }
    )
    text = page.page(made(validation=review))
    cell = r"\(too few to tell\)"
    assert re.search(rf"log\\_loss\*\* +\| 0.21 {cell} +\| 0.31 +\| 0.1 {cell} +\|", text)
    assert "No intervals: 5 blocks with an event are too few to tell." in text
    assert "Blocks: rows of one day share 0.1 of their variance: each day is a block." in text


def test_folds_are_paired() -> None:
    """Each with the rows that its model learned from, the loss of both models and that of the dummy."""
    text = page.page(made())
    cells = ["2018", "1,234", "567", "0.5", "0.75", "0.7", r"0.2 \[0.19, 0.21\] ▲"]
    assert re.search(r" +\| ".join(cells), text)


def test_models_measured_on_other_rows_are_not_paired() -> None:
    """Their own figures are shown, and the page says why there is no gain."""
    text = page.page(made(validation=validated(paired=False)))
    assert re.search(r"log\\_loss\*\* +\| 0.21 \[0.2, 0.22\] +\| 0.33 +\| - ", text)
    assert "v1.0.0 in prod was measured on other rows or folds" in text
    assert "### Slices that got worse" not in text


def test_figures_of_the_holdout_are_not_among_those_of_validation() -> None:
    """The gate has measured other values on the holdout: of those, the page has none."""
    text = page.page(made(answer="undecided"))
    seen = text.split("### The gate, rule by rule")
    assert "0.3 " not in seen[0].split("### Validation")[1]
    assert "All slices against v1.0.0 in prod" in seen[1]
    assert "0.01 [-0.1, 0.2]" not in text, "the gate's finding about a slice"


def test_warnings_of_the_training_are_alerts() -> None:
    """A model without skill is seen before anything else."""
    warned = validated(2, "slice", "the model is constant: 118 rows, min_samples_leaf 100")
    head = page.page(made(validation=warned)).split("###")[0]
    assert "> [!WARNING]\n> - the model is constant: 118 rows, min\\_samples\\_leaf 100" in head


def test_slices_that_got_worse_are_named_the_worst_first() -> None:
    """Those that did not are in the folded table alone."""
    open_part = page.page(made(slices=3)).split("### Slices that got worse")[1].split("###")[0]
    assert "slice=0" in open_part
    assert "slice=2" not in open_part
    none = page.page(made(slices=0)).partition("### Slices that got worse")[1]
    assert none == "", "without slices there is nothing to say"


@pytest.mark.parametrize("slices", [0, 500, 5_000])
def test_page_fits_in_a_comment(slices: int) -> None:
    """However many slices: a part that does not fit is named, and the answer is always there."""
    text = page.page(made(slices, drift=advice("look", *["moved " * 9_000] * 500)))
    assert len(text.encode()) < GITHUB - 4_000
    assert text.startswith("## ✅ rain: can be merged")
    assert "<sub>Commit aaaaaaa against bbbbbbb" in text
    assert ("All slices: too long for a comment; it is in review.json" in text) == (slices > 1_000)


def test_hostile_text_stays_text() -> None:
    """What a change brings along cannot mention, link, embed, or end a table or a chart."""
    text = page.page(
        made(
            name=HOSTILE,
            findings=(HOSTILE,),
            params=(ParamChange(key=HOSTILE, before=HOSTILE, after=HOSTILE),),
            contract=(HOSTILE,),
            data=(BatchChange(period=HOSTILE, how="added", rows=1, quarantined=0),),
            drift=advice("look", HOSTILE),
        )
    )
    prose, *charted = re.split(r"```mermaid\n.*?```", text, flags=re.DOTALL)
    assert len(charted) == 3
    assert "```" not in prose + "".join(charted), "every fence is ours"
    assert not re.search(r"<img|@everyone|(?<!\\)\]\(", prose + "".join(charted))
    assert "<" not in "".join(re.findall(r'"[^"]*"', text)), "nor is it HTML in a chart"


def test_limited_trust_is_an_alert() -> None:
    """A lock that is trusted, a lock that was stale, and results that could not be reproduced."""
    assert "> [!WARNING]" in page.page(made(trust="lock"))
    assert "> [!NOTE]" in page.page(made(lock="stale"))
    bad = page.page(
        made(answer="not reproducible", lock="not reproducible", findings=("train: forged",), gate=None)
    )
    assert "> [!CAUTION]\n> - train: forged" in bad
    assert not re.search(r"> \[!", page.page(made()))


def test_undecided_says_why() -> None:
    """With the number of blocks that are missing, which the gate has put there."""
    why = "not all rules pass; were its scores right, about 120 more blocks would show it"
    verdict = judged().model_copy(update={"answer": "undecided", "why": why})
    assert page.headline(made(answer="undecided", gate=verdict)) == f"rain: not decided: {why}"


def test_drift_is_shown_where_it_is_news() -> None:
    """No advice is not shown."""
    assert "### Drift" not in page.page(made())
    text = page.page(made(drift=advice("retrain", "the ranking is lost")))
    assert "**retrain** (before: none)\n\n- the ranking is lost" in text


def test_unknown_batches_are_not_taken_for_none() -> None:
    """Unknown is not unchanged."""
    assert "It is unknown which batches changed" in page.page(made(data=None))


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_chart_with_a_hole_is_not_drawn(values: list[float]) -> None:
    """A chart cannot say that something is missing."""
    assert charts.chart("a", ["b"] * len(values), "c", [("line", values)]) == ""


def test_folds_and_slices_are_about_the_loss() -> None:
    """Also of a review that was written and read: keys are sorted then, and another metric is first."""
    whole = made()
    validation = whole.validation
    assert validation is not None
    (fold,) = validation.folds
    more = {"average_precision": FoldMetric(value=0.9, dummy=0.1)}
    validation = validation.model_copy(
        update={
            "metrics": {"average_precision": figure(0.9), **validation.metrics},
            "folds": (fold.model_copy(update={"metrics": more | fold.metrics}),),
        }
    )
    again = Review.from_json(whole.model_copy(update={"validation": validation}).to_json(), "review.json")
    text = page.page(again)
    titles = [line for line in text.splitlines() if re.match(r"\| (fold|slice) ", line)]
    assert len(titles) >= 2
    assert not any("average" in line for line in titles)
    assert re.search(r"\| 2018 +\| 1,234 +\| 567 +\| 0\.5 ", text)
    lines = text.splitlines()
    (first,) = [at for at, line in enumerate(lines) if line.startswith("| metric ")]
    assert lines[first + 2].startswith("| **log\\_loss** ")


def of_classes(*names: str, rare: str = "") -> Review:
    """Return a review of a better model of several classes, of which one may be rare."""
    whole = made()
    validation = whole.validation
    assert validation is not None
    unknown = ReviewedFigure(value=1.25, low=None, high=None)
    figures = {
        name: {"roc_auc": figure(0.75), "observed_expected": unknown if name == rare else figure(1.5)}
        for name in names
    }
    pairs = {
        name: {
            metric: PairedMetric(value=mine.value, theirs=0.625, gain=figure(0.1))
            for metric, mine in of.items()
        }
        for name, of in figures.items()
    }
    rival = validation.rivals[0].model_copy(update={"classes": pairs})
    validation = validation.model_copy(update={"classes": figures, "rivals": (rival,)})
    shares = {True: ("30", "0.75"), False: ("5", "0.125")}
    plots = PlotRows(
        reliability=tuple(("0.2", str(place / 10), "0.2", name) for place, name in enumerate(names)),
        confusion=tuple((actual, taken, *shares[actual == taken]) for actual in names for taken in names),
    )
    return whole.model_copy(update={"validation": validation, "plots": plots})


def test_each_class_stands_beside_the_other_models() -> None:
    """By its name: how it ranks and its level, with what is too rare to tell; the gain of a better one."""
    text = page.page(of_classes("wheat", "maize", "rye", rare="rye"))
    part = text[text.index("### Each class against the rest") : text.index("### Validation, fold")]
    assert part.index("**roc\\_auc**") < part.index("**observed\\_expected**")
    assert re.search(r"\| wheat +\| 0\.75 \[0\.74, 0\.76\] +\| 0\.625 +\| 0\.1 \[0\.09, 0\.11\] ▲", part)
    assert re.search(r"\| rye +\| 1\.25 \(too few to tell\)", part)
    assert "Each class" not in page.page(made())


def test_which_class_is_taken_for_which() -> None:
    """A line for each actual class, as shares; an event has none, and a hundred classes are too many."""
    title = "Which class is taken for which"
    text = page.page(of_classes("wheat", "maize", "rye"))
    assert title in text
    assert re.search(r"\| maize +\| 12% +\| 75% +\| 12% +\| 40 ", text)
    for names in (("0", "1"), tuple(f"class {number}" for number in range(100))):
        assert title not in page.page(of_classes(*names))


def test_reliability_is_drawn_class_by_class() -> None:
    """The most frequent ones, by their names."""
    names = [f"crop {number}" for number in range(9)]
    text = page.page(of_classes(*names))
    drawn = re.findall(r"Reliability of (crop \d)", text)
    assert drawn == [f"crop {number}" for number in range(8, 2, -1)]


def test_hostile_names_of_classes_stay_text() -> None:
    """As any text of a change."""
    text = page.page(of_classes(HOSTILE, "maize", "rye"))
    assert "<img" not in text
    assert "@everyone" not in text


def test_page_says_how_many_settings_were_tried() -> None:
    """Whoever reads the figures on validation must know that they are the best of many."""
    text = page.page(made(tried=1200))
    assert "> [!NOTE]\n> 1,200 settings were tried on validation (`perenne tune`)" in text
    assert "perenne tune" not in page.page(made())
