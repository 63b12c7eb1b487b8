"""Your own data and encoder: `predict` before training, `diagnose` after.

Each returns a plain NamedTuple of numbers with a reading in words; `jssl predict` and
`jssl diagnose` print it and write it as a page.
"""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "arrays",
        "checkpoints",
        "diagnosis",
        "drawing",
        "encoders",
        "forecast",
        "rules",
        "spectra",
    ),
    members={
        "Diagnosis": "diagnosis",
        "Forecast": "forecast",
        "Reading": "spectra",
        "diagnose": "diagnosis",
        "predict": "forecast",
    },
)
