"""The file that holds a model: skops, the same bytes on every machine.

Loading runs no code of the file's choosing: its sha256 must be the one written beside it, and then only the
types of `TRUSTED` and `BOOSTED` are built, and those of the project's own code that its card lists. All are
needed: scikit-learn's trees trust the numbers they are given.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import skops.io as sio
from sklearn.pipeline import Pipeline

from perenne.common import extras, project_code, storable, strict_json
from perenne.common.binned.estimator import BinnedXGBClassifier, BinnedXGBRegressor
from perenne.common.disk import replacing, write_json
from perenne.common.errors import PerenneError
from perenne.common.names import CARD, MODEL
from perenne.common.recalibrated import Recalibrated

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold

# What scikit-learn's estimators are made of beyond what skops trusts by itself: seen by storing every one
# of them (tests/common/test_model.py does, and shows who needs each). A partial is only as trusted as the
# function in it, which skops checks too.
TRUSTED = (
    "functools.partial",
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLoss",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
    *(f"{one.__module__}.{one.__name__}" for one in (BinnedXGBClassifier, BinnedXGBRegressor, Recalibrated)),
)

# The same of the libraries that are extras: by the name of the extra, which is that of the package.
BOOSTED = {
    "catboost": ("catboost.core.CatBoostClassifier", "catboost.core.CatBoostRegressor"),
    "lightgbm": (
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRegressor",
    ),
    "xgboost": (
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRegressor",
    ),
}
KNOWN = frozenset(TRUSTED).union(*BOOSTED.values())


def dumps(pipeline: Pipeline) -> bytes:
    """The pipeline as a skops file, equal for equal pipelines.

    skops names the members of its zip by memory addresses, refers to them by those, and dates them:
    numbered here in order of appearance, under one date.
    """
    with zipfile.ZipFile(io.BytesIO(sio.dumps(pipeline))) as archive:
        members = {name: _clean(archive.read(name)) for name in archive.namelist()}
    numbers: dict[str | int, int] = {}
    schema = _numbered(json.loads(members.pop("schema.json")), numbers)
    renamed = {_member(name, numbers): data for name, data in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in [("schema.json", json.dumps(schema, indent=2).encode()), *sorted(renamed.items())]:
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _clean(data: bytes) -> bytes:
    """A member of the zip; of an array of records, such as a tree's nodes, without what lies between fields.

    Those bytes are whatever the memory held before.
    """
    if not data.startswith(b"\x93NUMPY") or b"'descr': [" not in data[:64]:
        return data
    records = np.load(io.BytesIO(data), allow_pickle=False)
    clean = np.zeros(records.shape, records.dtype)
    for name in records.dtype.names:
        clean[name] = records[name]
    out = io.BytesIO()
    np.save(out, clean)
    return out.getvalue()


def _numbered(node: Any, numbers: dict[str | int, int]) -> Any:
    """A part of skops' tree with numbers for addresses, which are added to `numbers` as they appear.

    The tree is walked, not its text searched: a category may be called `"__id__": 5`. Plain values lose
    their address: which equal strings are one object is the interpreter's affair.
    """
    if isinstance(node, list):
        return [_numbered(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    plain = node.get("__loader__") == "JsonNode"
    numbered: dict[str, Any] = {}  # a part of skops' own tree
    for key, value in node.items():
        if key == "file" and isinstance(value, str):
            numbered[key] = _member(value, numbers)
        elif key != "__id__" or not isinstance(value, int):
            numbered[key] = _numbered(value, numbers)
        elif not plain:
            numbered[key] = numbers.setdefault(value, len(numbers))
    return numbered


def _member(name: str, numbers: dict[str | int, int]) -> str:
    """The name of a member of the zip: a number, and the ending it had."""
    return f"{numbers.setdefault(name, len(numbers))}{Path(name).suffix}"


def loads(data: bytes, name: str, trusted: Iterable[str] = ()) -> Pipeline:
    """The pipeline in a skops file.

    Parameters
    ----------
    data
        The content of the file.
    name
        What an error calls it.
    trusted
        What the card says the file may hold of the project's own code; see `own_types`.

    Raises
    ------
    PerenneError
        If this is not a model file, it holds types that are not trusted (the error names them), it needs a
        library that is not installed or code that the project does not have, or it does not hold a pipeline.

    """
    own = own_types(trusted, f"{name}: trusted")
    try:
        held = set(sio.get_untrusted_types(data=data))
    except Exception as error:  # a file that is not a model can fail in any way
        raise PerenneError(f"{name}: not a model file: {' '.join(str(error).split())}") from error
    strange = sorted(held - KNOWN - own)
    if strange:
        raise PerenneError(f"{name}: holds types that are not trusted: {', '.join(strange)}")
    for extra in BOOSTED:
        if any(one.startswith(f"{extra}.") for one in held) and not find_spec(extra):
            raise PerenneError(
                f"{name}: holds a model of {extra}, which is not installed; {extras.install(extra)}"
            )
    for one in sorted(held & own):
        project_code.defined(one, f"{name}: it holds")
    try:
        pipeline = sio.loads(data, trusted=sorted(KNOWN | own))
    except Exception as error:  # as above; and the project's code may take part
        if held & own:
            raise project_code.failed(error, name) from error
        raise PerenneError(f"{name}: not a model file: {' '.join(str(error).split())}") from error
    if not isinstance(pipeline, Pipeline):
        raise PerenneError(f"{name}: holds a {type(pipeline).__name__}, not a model")
    return pipeline


def own_types(listed: object, key: str) -> frozenset[str]:
    """What a list of types of the project's own code allows; an error calls its place `key`.

    No other can be listed: whoever could forge a card could have `os.system` trusted by it.

    Raises
    ------
    PerenneError
        If this is not a list of names such as `stages.models.Mine`.

    """
    names = [*listed] if isinstance(listed, Iterable) and not isinstance(listed, str) else [listed]
    for one in names:
        if not project_code.is_named(one):
            raise PerenneError(
                f"{key}: found {one!r}, must be a class or function of the project, such as "
                "stages.models.Mine"
            )
    return frozenset(map(str, names))


def save(pipeline: Pipeline, card: Mapping[str, object], path: Path = MODEL, beside: Path = CARD) -> None:
    """Write the model file, and beside it its card: the content given and the file's sha256.

    Parameters
    ----------
    pipeline
        The fitted model.
    card
        The rest of the card; `perenne.documents.card` defines it. Its `trusted` lists what the file may hold
        of the project's own code.
    path, beside
        The model file and its card.

    Raises
    ------
    PerenneError
        If the file could not be loaded again; it says what in the model is the reason.

    """
    trusted = own_types(card.get("trusted", ()), f"{beside}: trusted")
    data = _checked(pipeline, trusted)
    trusted &= set(sio.get_untrusted_types(data=data))  # no more than the file holds
    loads(data, str(path), trusted)  # a model that cannot be loaded again must not be written
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    write_json(beside, {**card, "trusted": sorted(trusted), "sha256": hashlib.sha256(data).hexdigest()})


def stored(pipeline: Pipeline, trusted: Iterable[str]) -> Pipeline:
    """The same model, stored and loaded; arguments and errors as for `save`."""
    own = own_types(trusted, "params.yaml: train.trusted")
    return loads(_checked(pipeline, own), "the model", own)


def _checked(pipeline: Pipeline, trusted: frozenset[str]) -> bytes:
    """The bytes of a model that can be stored; a `PerenneError` names what in it cannot."""
    storable.check(pipeline, KNOWN | trusted)
    try:
        return dumps(pipeline)
    except Exception as error:  # skops fails in any way
        raise PerenneError(
            f"the model cannot be stored: {' '.join(str(error).split())}; what it keeps must be "
            f"{storable.KEPT}"
        ) from error


def load(path: Path = MODEL, beside: Path = CARD) -> tuple[Pipeline, dict[str, object]]:
    """The pipeline and what is on its card; `perenne.documents.card.load_model` reads the card as well.

    Raises
    ------
    PerenneError
        If a file is missing, the card is not JSON, the sha256 on the card is not that of the model file, or
        `loads` rejects the file.

    """
    try:
        data, card = path.read_bytes(), strict_json.loads(beside.read_bytes(), str(beside))
    except FileNotFoundError as error:
        raise PerenneError(f"{error.filename}: no such file") from error
    sha256 = hashlib.sha256(data).hexdigest()
    expected = card.get("sha256") if isinstance(card, dict) else None
    if sha256 != expected:
        raise PerenneError(f"{path}: its sha256 is {sha256}, but {beside} says {expected}")
    return loads(data, str(path), card.get("trusted", ()) if isinstance(card, dict) else ()), card
