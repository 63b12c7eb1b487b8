"""Comparison of encoders, or of layers of one, on the same rows: `jssl.compare_encoders`."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "compare",
        "components",
        "drawing",
        "page",
        "ranking",
        "result",
        "summary",
        "values",
    ),
    members={"EncoderComparison": "result", "compare_encoders": "compare"},
)
