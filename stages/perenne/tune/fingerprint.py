"""All that the trials of a search depend on, as hashes: if any of it differs, it is another search."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

import perenne
from perenne.common import sections
from perenne.common.names import CASES, PARAMS, REQUIREMENTS, TRAIN
from perenne.tune.space import canonical

# Those whose version changes what a trial gives, or which one is next. `requirements.txt` has no Optuna.
LIBRARIES = ("optuna", "numpy", "scipy", "pandas", "scikit-learn", "lightgbm", "xgboost-cpu", "catboost")


def inputs(case: str, metric: str) -> dict[str, str]:
    """Return the hash of everything that trials depend on, by a name that people know.

    Parameters
    ----------
    case
        The current case.
    metric
        What trials are compared by.

    """
    tree = sections.tree()
    # More trials of the same search go on from those that are known.
    tune = {key: value for key, value in (tree.get("tune") or {}).items() if key != "trials"}
    parts = {f"{PARAMS} {name}": canonical(tree.get(name)) for name in ("train", "split", "evaluate")}
    parts |= {f"{PARAMS} tune": canonical(tune), "metric": metric, "libraries": canonical(_versions())}
    hashes = {name: _sha256(text.encode()) for name, text in parts.items()}
    for path in (CASES / case / "contract.yaml", REQUIREMENTS):
        hashes[str(path)] = _sha256(path.read_bytes() if path.exists() else b"")
    with TRAIN.open("rb") as file:
        hashes[str(TRAIN)] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes | {"code": _code()}


def together(hashes: dict[str, str]) -> str:
    """Return one hash of all."""
    return _sha256(canonical(hashes).encode())


def _code() -> str:
    """The hash of the library, and of the code that a project has in `stages/`."""
    digest = hashlib.sha256()
    for root in (Path(perenne.__file__).parent, Path("stages").resolve()):
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
