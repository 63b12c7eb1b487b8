"""jssl._compat."""
