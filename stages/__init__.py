"""The stages of the pipeline: a file is a DVC stage, a folder is a library or runs outside the DAG."""

import os

# scikit-learn's OpenMP threads wait for each other by spinning: on a machine that also does something else,
# fitting took 3 to 10 times as long. Said here, before any of them is loaded; it changes no result.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
