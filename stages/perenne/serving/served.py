"""A version that is ready to serve: loaded, and verified to be the one that was released."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
from pydantic import ValidationError

from perenne.common import code_of, model_file, names
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.past import Past, stored
from perenne.common.sections import contract_of
from perenne.documents.card import ModelCard
from perenne.documents.proof import Proof
from perenne.registry import golden, own_code
from perenne.registry.change import inputs
from perenne.registry.tags import Version
from perenne.serving.completion import RequestFeatures
from perenne.serving.download import GOLDEN
from perenne.serving.rows import InputRow, PredictAdapter
from perenne.serving.scorer import Scorer, scorer


class Served(NamedTuple):
    """A version with all that is needed to answer requests.

    `proof` is that of the version, which takes milliseconds to parse; `sha256` is that of the model file;
    `known` has the categories of each column that occurred in training; `features` adds the derived ones.
    """

    version: Version
    proof: Proof
    sha256: str
    contract: Contract
    scorer: Scorer
    known: dict[str, frozenset[str]]
    features: RequestFeatures

    def unseen(self, row: InputRow) -> list[str]:
        """The columns of a row whose category did not occur in training."""
        return [
            name for name, known in self.known.items() if (v := row.get(name)) is not None and v not in known
        ]

    def unseen_in(self, rows: pd.DataFrame) -> dict[str, pd.Series]:
        """The same of typed rows: for each column with categories whether a row's is unseen, shape (n,)."""
        return {name: rows[name].notna() & ~rows[name].isin(known) for name, known in self.known.items()}


def load(name: str, version: Version, folder: Path) -> Served:
    """Load the files of a version from the folder that `download` wrote, and verify them.

    Parameters
    ----------
    name
        The model.
    version
        The version, with the proof in its tag.
    folder
        The folder with its model, card and golden rows.

    Raises
    ------
    PerenneError
        If the model's sha256 is not the one in the tag, the model holds types that are not trusted, its
        features are made by other code than the version's, or it does not reproduce the golden predictions.

    """
    path = folder / names.MODEL.name
    data = path.read_bytes()
    proof = version.proof or Proof()
    actual, released = hashlib.sha256(data).hexdigest(), version.released.sha256
    if actual != released:
        raise PerenneError(f"{path}: its sha256 is {actual}, but its tag {version.tag} says {released}")
    card = ModelCard.load(folder / names.CARD.name)
    contract = contract_of(name, version.commit)
    own_code.must_be_here(version, contract)
    with code_of.commit(version.commit, card.trusted):
        pipeline = model_file.loads(data, str(path), card.trusted)
    served = Served(
        version,
        proof,
        actual,
        contract,
        scorer(pipeline, contract),
        card.categories(),
        RequestFeatures(contract, _past(folder / names.HISTORY.name, contract)),
    )
    _check_golden(served, (folder / GOLDEN).read_bytes())
    return served


def same_contract(served: Served, contract: Contract, tag: str) -> None:
    """Check that a version with a contract takes the same requests as the served version.

    Raises
    ------
    PerenneError
        If it does not; names the version by its tag, and the differences.

    """
    changes = inputs(served.contract, contract)
    if changes:
        raise PerenneError(
            f"{tag}: its contract differs: {'; '.join(changes)}; "
            "change the callers first, then restart the service"
        )


def _past(path: Path, contract: Contract) -> Past | None:
    """The store that `fetch` has brought along, if a feature looks back."""
    return stored(pq.read_table(path), contract) if contract.remembered else None


def _check_golden(served: Served, body: bytes) -> None:
    """Check that the golden rows, read and scored as a request is, have the released scores."""
    recorded = golden.recorded(served.version)
    try:
        rows = PredictAdapter(served.contract, len(recorded)).validate_json(body)["rows"]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise PerenneError(f"{served.version.tag}: golden row: {first['loc']}: {first['msg']}") from error
    completed = served.features.complete(rows).rows
    scores = served.scorer.score([served.scorer.encode(row) for row in completed]).tolist()
    if other := golden.first_other(recorded, scores):
        raise PerenneError(
            f"{served.version.tag}: golden row {other.row}: the score is {other.score!r} here, but "
            f"{other.released!r} when released"
        )
