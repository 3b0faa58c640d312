"""Refit: fit the recipe of the model on all that is known by `as_of`; a release puts that model to use."""

from perenne.common.errors import run
from perenne.pipeline.refit import main

if __name__ == "__main__":
    run(main)
