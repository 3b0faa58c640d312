"""Evaluate: measure the model on validation, parts of the window that it did not see."""

from perenne.common.errors import run
from perenne.pipeline.evaluate import main

if __name__ == "__main__":
    run(main)
