"""Release: an eligible model becomes a version."""
