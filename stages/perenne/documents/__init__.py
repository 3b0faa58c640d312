"""Documents that commands write and others read: one frozen model each, with a schema number."""
