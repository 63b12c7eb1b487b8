"""Stiefel and Grassmann manifolds: pure geometry on any two axes of an array."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("base", "grassmann", "linalg", "nearest", "retractions", "stiefel"),
    members={
        "Grassmann": "grassmann",
        "Manifold": "base",
        "RETRACTIONS": "retractions",
        "Stiefel": "stiefel",
        "cholesky_qr2": "retractions",
        "polar": "retractions",
        "polish": "retractions",
        "qr": "retractions",
    },
)
