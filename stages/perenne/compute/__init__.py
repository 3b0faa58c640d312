"""Where work runs: in this process, in several of this machine, or on the machines of a Dask cluster.

Work is a map over items, then a reduce in the items' order, so its results are the same bytes wherever it
ran. An engine is a `Workers`; CONTRIBUTING says how to add one.
"""
