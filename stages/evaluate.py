"""Evaluate: measure the model on the holdout."""

from perenne.common.errors import run
from perenne.pipeline.evaluate import main

if __name__ == "__main__":
    run(main)
