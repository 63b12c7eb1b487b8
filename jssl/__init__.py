"""Learning dynamics of self-supervised learning: simulation and theory of the same problem.

Subpackages and members are imported on first use: `jssl.losses`, `jssl.theory.stepwise`,
`jssl.simulate`.
"""

from jssl._lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "data",
        "diagnosis",
        "diagnostics",
        "encoders",
        "errors",
        "figures",
        "forecast",
        "jaxprs",
        "kernels",
        "losses",
        "manifolds",
        "models",
        "monitor",
        "optim",
        "papers",
        "precision",
        "report",
        "studies",
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
        "CollapseError": "errors",
        "Monitor": "monitor.monitor",
        "run": "simulation",
        "simulate": "simulation",
        "compare": "comparison",
        "compare_encoders": "encoders.compare",
        "plot": "figures",
        "sweep": "sweeps.sweep",
        "diagnose": "diagnosis.diagnosis",
        "predict": "forecast.forecast",
        "use_all_cores": "devices",
    },
)
