"""Ingest: bring in the batches of a source, one Parquet file per period."""

from perenne.common.errors import run
from perenne.pipeline.ingest import main

if __name__ == "__main__":
    run(main)
