"""What is watched after a release: the rows that arrive, and what the model predicts for them."""
