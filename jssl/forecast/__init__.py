"""Forecasts before training: which dimensions an encoder learns, in which order, and when."""

from jssl._lazy import attach

__getattr__, __dir__ = attach(
    __name__,
    modules=(
        "custom_loss",
        "drawing",
        "encoders",
        "finite",
        "finite_steps",
        "forecast",
        "given_encoder",
        "given_pairs",
        "intervals",
        "limit",
        "lost_dimensions",
        "modes",
        "networks",
        "own_encoder",
        "page",
        "reduced",
        "result",
        "rules",
        "simulated",
        "starts",
        "steps",
        "summary",
        "torch_encoder",
        "values",
    ),
    members={"Forecast": "result", "predict": "forecast"},
)
