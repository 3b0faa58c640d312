"""A project of one's own in Perenne's shape: made by `perenne new`, kept up to date by `perenne upgrade`."""
