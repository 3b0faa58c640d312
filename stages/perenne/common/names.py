"""Paths and words that more than one module uses. Each is written here and nowhere else."""

from __future__ import annotations

from pathlib import Path

# What a data scientist edits, and what DVC makes of it.
PARAMS = Path("params.yaml")
DAG = Path("dvc.yaml")
LOCK = Path("dvc.lock")
REQUIREMENTS = Path("requirements.txt")
CASES = Path("data/cases")
CODE_FOLDER = "PERENNE_CODE_FOLDER"  # the variable that names where `stages` is, in a process of the service
INCOMING = Path("data/incoming")

# The batches: one Parquet file per period.
RAW = Path("data/raw")
CLEAN = Path("data/clean")
QUARANTINE = Path("data/quarantine")

HISTORY = Path("data/history.parquet")  # the last rows of each entity, for features that look back

# What the model learns from and is judged on.
TRAIN = Path("data/split/train.parquet")
HOLDOUT = Path("data/split/holdout.parquet")
REFIT = Path("data/split/refit.parquet")

# The model that the gate proves, which has not seen the holdout, and the one that a release puts to use.
MODEL = Path("data/model/model.skops")
CARD = Path("data/model/model.json")
RELEASED = Path("data/model/released.skops")
RELEASED_CARD = Path("data/model/released.json")

# Reports.
VALIDATION = Path("data/reports/validation.json")
SPLIT = Path("data/reports/split.json")
METRICS = Path("data/reports/metrics.json")
EVALUATION = Path("data/reports/evaluation.json")
PREDICTIONS = Path("data/reports/predictions.parquet")
PLOTS = Path("data/reports/plots")
IMPORTANCE = PLOTS / "importance.csv"
DRIFT = Path("data/reports/drift.json")
DRIFT_PAGE = Path("data/reports/drift.html")
DRIFT_TIMELINE = Path("data/reports/drift.csv")

# What a review writes, in a folder of its own.
REVIEW_JSON = Path("review.json")
REVIEW_PAGE = Path("review.md")

# Columns of ours beside those of a contract, and what drift calls its tests of no single column. People read
# them, so they are words, and no contract may use them. Columns that nobody sees begin with `__`, and no
# contract may use such a name either.
PREDICTION = "prediction"  # the model's score
OF_CLASS = f"{PREDICTION}: "  # and a class: its probability, where there are several
FOLD = "fold"  # of validation: which model predicted the row
BROKEN_RULES = "broken_rules"  # of a row in quarantine
FEATURES, ROWS, LABELS = "all features", "rows", "labels"
TAKEN = {
    PREDICTION: "the column of scores",
    FOLD: "the column that says which model predicted a row",
    BROKEN_RULES: "the column that says why a row is in quarantine",
    FEATURES: "drift's test of all features together",
    ROWS: "drift's test of the number of rows",
    LABELS: "drift's test of the number of labels",
}
HIDDEN = "__"

# Stages of a version, in GTO's sense.
PROD = "prod"
DEGRADED = "degraded"  # in prod and no longer right, and no retraining could replace it
