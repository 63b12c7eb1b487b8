"""Claims and their verdicts: a tolerance is decided from theory before the result is seen."""

import math

from jssl.types import Claim


def close(
    name: str, statement: str, source: str, predicted: float, measured: float, tolerance: float
) -> Claim:
    """Claim that a measured value equals the predicted one within an absolute tolerance.

    Example:
        >>> close("demo/half", "half of two", "arithmetic", 1.0, 1.01, 0.05).passed
        True

    A value that is not finite never passes.
    """
    predicted, measured, tolerance = float(predicted), float(measured), float(tolerance)
    passed = math.isfinite(measured) and abs(measured - predicted) <= tolerance
    return Claim(name, statement, source, predicted, measured, tolerance, passed, "=")


def at_most(
    name: str, statement: str, source: str, bound: float, measured: float, slack: float = 0.0
) -> Claim:
    """Claim that a measured value does not exceed a bound by more than the slack.

    Example:
        >>> at_most("demo/small", "small", "arithmetic", 1.0, 2.0).passed
        False
    """
    bound, measured, slack = float(bound), float(measured), float(slack)
    passed = math.isfinite(measured) and measured <= bound + slack
    return Claim(name, statement, source, bound, measured, slack, passed, "<=")


def at_least(
    name: str, statement: str, source: str, bound: float, measured: float, slack: float = 0.0
) -> Claim:
    """Claim that a measured value reaches a bound, less the slack.

    Example:
        >>> at_least("demo/large", "large", "arithmetic", 1.0, 2.0).passed
        True
    """
    bound, measured, slack = float(bound), float(measured), float(slack)
    passed = math.isfinite(measured) and measured >= bound - slack
    return Claim(name, statement, source, bound, measured, slack, passed, ">=")
