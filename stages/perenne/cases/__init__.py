"""Where rows come from: one module per source, each yields one batch a period, oldest first."""
