"""The Git host."""
