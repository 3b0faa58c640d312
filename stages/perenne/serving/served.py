"""A version that is ready to be served: loaded, and proven to be the one that was released."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from perenne.common import model, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.documents.proof import Proof
from perenne.registry import golden
from perenne.registry.change import inputs
from perenne.registry.tags import Version
from perenne.serving.bring import ROWS
from perenne.serving.rows import requests
from perenne.serving.scorer import Array, Scorer, scorer

TOLERANCE = 1e-9  # of BLAS, whose last bits may differ between CPUs; trees are the same to the bit


class Served(NamedTuple):
    """A version with all that it takes to answer by it."""

    version: Version
    proof: Proof  # of the version: to read it takes some milliseconds
    sha256: str
    contract: Contract
    scorer: Scorer
    known: dict[str, frozenset[str]]  # the categories that were there in training

    def unseen(self, row: Mapping[str, Any]) -> list[str]:
        """The columns of a row whose category the model has never seen."""
        return [
            name for name, known in self.known.items() if (v := row.get(name)) is not None and v not in known
        ]


def load(name: str, version: Version, folder: Path) -> Served:
    """Load what `bring` brought, and prove it.

    Raises
    ------
    PerenneError
        If the file is not the one that the tag proves, holds types that are not trusted, or does not
        reproduce the golden predictions.

    """
    path = folder / names.MODEL.name
    data = path.read_bytes()
    proof = version.proof or Proof()
    found, said = hashlib.sha256(data).hexdigest(), version.sha256
    if found != said:
        raise PerenneError(f"{path}: its sha256 is {found}, but its tag {version.tag} says {said}")
    card = json.loads((folder / names.CARD.name).read_text(encoding="utf-8"))
    contract = contract_of(name, version.commit)
    served = Served(
        version,
        proof,
        found,
        contract,
        scorer(model.loads(data, str(path)), contract),
        {f["name"]: frozenset(f["categories"]) for f in card["features"] if "categories" in f},
    )
    _prove(served, (folder / ROWS).read_bytes())
    return served


def same_contract(served: Served, candidate: Served) -> None:
    """Do nothing if callers need not notice that another version answers; else raise a `PerenneError`."""
    changes = inputs(served.contract, candidate.contract)
    if changes:
        raise PerenneError(
            f"{candidate.version.tag}: its contract is another one: {'; '.join(changes)}; "
            "callers have to change first, then start the service anew"
        )


def _prove(served: Served, rows: bytes) -> None:
    """Do nothing if the golden predictions come out, by the same road that requests take."""
    recorded = golden.recorded(served.version)
    body = b'{"rows": ' + rows + b"}"
    try:
        read = requests(served.contract, len(recorded)).validate_json(body)["rows"]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PerenneError(f"{served.version.tag}: golden row: {first['loc']}: {first['msg']}") from error
    scores = served.scorer.score([served.scorer.encode(row) for row in read])
    _equal(served.version.tag, recorded, scores)


def _equal(tag: str, recorded: Mapping[int, float], scores: Array) -> None:
    for (row, said), score in zip(recorded.items(), np.asarray(scores).tolist(), strict=True):
        if not math.isclose(score, said, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise PerenneError(
                f"{tag}: golden row {row}: the score here is {score!r}, but it was released with {said!r}"
            )
