"""Train: fit the model on the training rows."""

from perenne.common.errors import run
from perenne.pipeline.train import main

if __name__ == "__main__":
    run(main)
