"""Benchmarks: small scripts, each named after its question, that print a ratio against a peer."""
