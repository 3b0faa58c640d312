"""Replay: what a policy of retraining would have done on a case's own history, and at what cost."""
