"""The whole at a glance: where the project is, what is in prod, what comes next."""
