"""What the real commands say of small inputs of which the truth is known (`tests/inputs.py`)."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from tests.inputs import INPUTS, Input
from tests.project import clone


def asked(name: str, given: Input) -> list[str]:
    """Take an input in as the README does, run it, ask the gate; return what evaluate, drift and gate say."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        project = clone(Path(folder) / "project")
        case, file = f"data/cases/{name}", f"data/incoming/{name}/{name}.csv"
        project.write(f"{case}/contract.yaml", given.text)
        project.write(file, given.draw().to_csv(index=False))
        params = project.read("data/cases/flights/params.yaml")
        source = f'ingest:\n  source: files\n  glob: "*.csv"\n  through: {given.through}\n\n'
        changes = {
            r"(?s)^ingest:.*?\n\n": source,
            r"^case: \w+": f"case: {name}",
            r"^  as_of: \S+": f"  as_of: {given.as_of}",
            r"^  window: \d+": f"  window: {given.window}",
            r"^  holdout: \d+": f"  holdout: {given.holdout}",
        }
        if not given.contract.task.classes:
            changes |= {"Classifier": "Regressor", r"metric: log_loss": "metric: mae"}
        project.write(f"{case}/params.yaml", params)
        for pattern, new in changes.items():
            project.edit(pattern, new, f"{case}/params.yaml")
        project.run(f"dvc add -q {file} && perenne use {name}")
        said = project.out("dvc repro")
        project.commit("an input")
        gate = project.run("perenne gate", status=None).stdout
        lines = re.findall(r"^(?:evaluate|drift): .*", said, re.MULTILINE)
        return [*lines, f"gate: {gate.splitlines()[0]}"]


def table() -> str:
    """What is true of each input, and below it what was said; some minutes."""
    lines = []
    for name, given in tqdm(INPUTS.items(), desc="inputs", unit="input"):
        lines += [f"{name}: {given.truth}", *(f"  {line}" for line in asked(name, given))]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
