"""Perenne: a Git-native machine-learning pipeline that keeps a released model true."""

import os

# scikit-learn's OpenMP threads wait for each other by spinning: on a machine that also does something else,
# fitting took 3 to 10 times as long. Set before any of them is loaded; it changes no result.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
