"""Millions of rows: the CPU seconds and the memory of each stage, and what a further million takes."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tqdm import tqdm

from tests.project import Project, clone

STAGES = ["ingest", "validate", "split", "train", "refit", "evaluate", "drift"]
ROWS_AT_SCALE_1 = 303_000  # 2013Q1 to 2020Q4
ROWS = (3e6, 1e7)

# A stage is a process of its own, as `dvc repro` runs it: CPU seconds and peak memory are those of the whole.
COSTS = """
import importlib, resource, sys
importlib.import_module(f"perenne.pipeline.{sys.argv[1]}").main()
both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(each.ru_utime + each.ru_stime for each in both), max(each.ru_maxrss for each in both) / 1024)
"""


class StageCosts(NamedTuple):
    """What a stage took with all that it started: CPU seconds, and the most MB that one process held."""

    cpu: float
    peak: float


def costs(project: Project, stage: str) -> StageCosts:
    """Run a stage in a process of its own and return what it took."""
    # By way of a shell that forks: a process begun straight from here would count the memory held here.
    said = project.out(f"python -c '{COSTS}' {stage} && true").split()
    return StageCosts(float(said[-2]), float(said[-1]))


def pipeline(project: Project, rows: float) -> tuple[int, dict[str, StageCosts]]:
    """Run the pipeline once with about so many rows; return how many there were, and what each stage took."""
    project.edit(r"^  scale: .*", f"  scale: {rows / ROWS_AT_SCALE_1!r}")
    took = {stage: costs(project, stage) for stage in tqdm(STAGES, desc=f"{rows:.0e} rows", unit="stage")}
    validation = json.loads(project.read("data/reports/validation.json"))
    return validation["total"]["rows"], took


def table(sizes: tuple[float, float] = ROWS) -> str:
    """Return the table of two sizes, and what each further million rows takes between them."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        projects = [clone(Path(folder) / f"{rows:.0e}" / "project") for rows in sizes]  # of the same code
        (few, before), (many, after) = map(pipeline, projects, sizes)
    millions = (many - few) / 1e6
    lines = [
        f"scale: the pipeline once on {few:,} and once on {many:,} rows; and a further million between them",
        f"{'':10}{'CPU, s':>10}{'':>10}{'further':>10}{'peak, MB':>12}{'':>10}{'further':>10}",
    ]
    found = []
    for stage in STAGES:
        (cpu, peak), (cpu_of_many, peak_of_many) = before[stage], after[stage]
        more = (cpu_of_many - cpu) / millions, (peak_of_many - peak) / millions
        found.append((cpu, cpu_of_many, more[0], peak, peak_of_many, more[1]))
    together = {"sum": tuple(map(sum, zip(*found, strict=True))), "worst": tuple(map(max, *found))}
    for name, figures in {**dict(zip(STAGES, found, strict=True)), **together}.items():
        a, b, c, d, e, f = figures
        lines.append(f"{name:10}{a:10.1f}{b:10.1f}{c:10.2f}{d:12.0f}{e:10.0f}{f:10.1f}")
    lines.append("goals at 1e7 rows: worst peak <= 1,500 MB, <= 60 MB a further million; CPU in all <= 200 s")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
