"""jssl.theory."""
