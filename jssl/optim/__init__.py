"""Optax transformations: gradient descent with an effective time, and descent on manifolds."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=("chains", "descent", "riemannian", "specs"),
    members={
        "Descent": "descent",
        "RiemannianAdamState": "riemannian",
        "RiemannianTraceState": "riemannian",
        "gradient_descent": "descent",
        "grassmann_adam": "chains",
        "grassmann_sgd": "chains",
        "manifold_error": "specs",
        "orthonormal_start": "specs",
        "orthonormalize": "specs",
        "project_to_tangent": "riemannian",
        "retract": "riemannian",
        "riemannian_trace": "riemannian",
        "scale_by_riemannian_adam": "riemannian",
        "stiefel_adam": "chains",
        "stiefel_sgd": "chains",
    },
)
