"""Names of metrics as loggers take them, and a mapping of metrics that gives plain numbers."""

import math
import re
from typing import Any


class Metrics(dict[str, Any]):
    """Name -> metric with its error and meaning; when called, the values as a flat dictionary.

    Example:
        >>> from jssl.diagnosis.spectra import Metric
        >>> rank = Metric("effective rank", 5.0, 0.5, 100, "", "", "")
        >>> metrics = Metrics({"effective rank": rank})
        >>> metrics["effective rank"].rows, metrics()
        (100, {'effective_rank': 5.0, 'effective_rank_error': 0.5})
    """

    def __call__(self) -> dict[str, float]:
        """Return key -> value for a logger; errors that are known have keys of their own."""
        flat: dict[str, float] = {}
        for name, metric in self.items():
            flat[key_of(name)] = float(metric.value)
            if math.isfinite(metric.error):
                flat[f"{key_of(name)}_error"] = float(metric.error)
        return flat


def key_of(name: str) -> str:
    """Return the name of a metric in lower case, with underscores.

    Example:
        >>> key_of("linear probe (logistic regression) accuracy"), key_of("RankMe")
        ('linear_probe_logistic_regression_accuracy', 'rankme')
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
