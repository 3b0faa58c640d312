"""Drift: compare later batches with what the model has learned."""

from perenne.common.errors import run
from perenne.pipeline.drift import main

if __name__ == "__main__":
    run(main)
