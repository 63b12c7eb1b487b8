"""Forecasts before training: which dimensions an encoder learns, in which order, and when."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "drawing",
        "encoders",
        "forecast",
        "given_pairs",
        "lost_dimensions",
        "modes",
        "own_encoder",
        "rules",
        "starts",
        "steps",
        "summary",
    ),
    members={"Forecast": "forecast", "predict": "forecast"},
)
