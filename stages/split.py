"""Split: divide the history into training rows and a holdout."""

from perenne.common.errors import run
from perenne.pipeline.split import main

if __name__ == "__main__":
    run(main)
