"""jssl: state an SSL problem once; ask theory and simulation the same question.

Everything is imported when first used: `jssl.losses`, `jssl.theory.stepwise`, `jssl.simulate`.
"""

from jssl._lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "data",
        "diagnosis",
        "diagnostics",
        "errors",
        "figures",
        "forecast",
        "kernels",
        "losses",
        "models",
        "optim",
        "papers",
        "precision",
        "report",
        "sweeps",
        "theory",
        "types",
    ),
    members={
        "Claim": "types",
        "Rival": "types",
        "Model": "types",
        "Pairs": "types",
        "Problem": "types",
        "Simulation": "types",
        "State": "types",
        "Trajectory": "types",
        "EigenvaluesOf": "eigenvalues",
        "InputError": "errors",
        "run": "simulation",
        "simulate": "simulation",
        "compare": "comparison",
        "plot": "figures",
        "sweep": "sweeps.sweep",
        "diagnose": "diagnosis.diagnosis",
        "predict": "forecast.forecast",
    },
)
