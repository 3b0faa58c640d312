"""Validate: move rows that break the contract to quarantine."""

from perenne.common.errors import run
from perenne.pipeline.validate import main

if __name__ == "__main__":
    run(main)
