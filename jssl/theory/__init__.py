"""Predictions, a package a paper; `reading` is what they read from a stated problem."""
