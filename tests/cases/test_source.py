"""Sources: each is one module, and its keys in params.yaml are checked as strictly as all others."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from perenne import cases
from perenne.cases.source import model, names, source_of
from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.params import Params
from perenne.common.typed import parse
from tests.project import ROOT
from tests.test_pipeline import DAG
from tests.tiny import PARAMS

FLIGHTS = "data/cases/flights/params.yaml"
PAYMENTS = "data/cases/payments/params.yaml"


def section(text: str) -> Params:
    """Return params from their text, the section `ingest` unchecked."""
    return parse(Params, strict_yaml.loads(text), "params.yaml")


def test_every_module_is_a_source_and_a_dep_of_ingest() -> None:
    """A new module must be listed in dvc.yaml: else it could change and nothing would be run again."""
    files = {path.stem for path in Path(cases.__path__[0]).glob("*.py")} - {"__init__", "source"}
    assert set(names()) == files
    assert {f"stages/perenne/cases/{name}.py" for name in files} <= set(DAG["stages"]["ingest"]["deps"])


@pytest.mark.parametrize("name", names())
def test_source_has_the_name_of_its_module(name: str) -> None:
    """So `ingest.source` leads to it, and no other value is accepted; a simulated one can be replayed."""
    found = model(name)
    field = found.model_fields["source"]
    assert get_args(field.annotation) == (name,)
    assert not found.simulated or {"start", "seed"} <= set(found.model_fields)


@pytest.mark.parametrize(
    ("case", "file"), [("retirement", "params.yaml"), ("flights", FLIGHTS), ("payments", PAYMENTS)]
)
def test_sources_of_the_cases_are_good(case: str, file: str) -> None:
    """That of the current case is at the root, the others in their folders."""
    text = (ROOT / file).read_text(encoding="utf-8")
    assert source_of(section(text).ingest, case).source == case


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("  glob:", "  golb:", "ingest.golb: unknown key; did you mean 'glob'? Valid: glob, source, through"),
        ("  source: files", "  sorce: files", "ingest.sorce: unknown key; did you mean 'source'?"),
        ("  source: files\n", "", f"ingest.source: missing; valid: {', '.join(names())}"),
        ("source: files", "source: fils", "ingest.source: 'fils' is not known; did you mean 'files'? Valid:"),
        ('  glob: "*"\n', "", "ingest.glob: missing"),
    ],
)  # fmt: skip
def test_mistake_is_one_line(old: str, new: str, line: str) -> None:
    """The line names the file, the key as its author wrote it, the value, and what would be accepted."""
    assert old in PARAMS, old
    with pytest.raises(PerenneError) as caught:
        source_of(section(PARAMS.replace(old, new)).ingest, "a case")
    assert str(caught.value).startswith(f"params.yaml: {line}")
    assert "\n" not in str(caught.value)
