"""Claims and their verdicts. Each tolerance follows from theory and is fixed before the run.

A claim may name rivals: other theories of the measured quantity. It holds only if the measurement
agrees with the prediction and rejects every rival.
"""

import math
from collections.abc import Sequence

from jssl.types import Claim, Rival

NOT_IN_PAPERS = ("Beyond", "Derived here", "Requirement of jssl")
"""How the source of a claim begins that is not made in a paper."""


def is_in_paper(claim: Claim) -> bool:
    """Return whether a paper makes the claim; false if it is new here, by its source.

    Example:
        >>> is_in_paper(close("demo/a", "One is one.", "Derived here; not in the paper", 1, 1, 0))
        False
    """
    return not claim.source.startswith(NOT_IN_PAPERS)


def close(
    name: str,
    statement: str,
    source: str,
    predicted: float,
    measured: float,
    tolerance: float,
    details: str = "",
    rivals: Sequence[Rival] = (),
) -> Claim:
    """Claim that a measured value equals the predicted one within an absolute tolerance.

    Example:
        >>> close("demo/half", "Half of two is one.", "arithmetic", 1.0, 1.01, 0.05).passed
        True
        >>> thirds = (Rival("a third", 1.02),)
        >>> close("demo/half", "Half of two is one.", "s", 1.0, 1.01, 0.05, rivals=thirds).passed
        False

    A value that is not finite never passes.

    Args:
        name: short and unique, `paper/what`.
        statement: one sentence of at most 25 words that a reader of the paper understands.
        source: paper and equation or figure.
        predicted: value predicted by theory.
        measured: value measured in the simulation.
        tolerance: largest allowed absolute difference of the two; follows from theory.
        details: origin of the tolerance, sizes and settings, in complete sentences.
        rivals: other theories and their values, each of which must be farther than the tolerance
            from the measured value. A value that is NaN is not rejected.
    """
    predicted, measured, tolerance = float(predicted), float(measured), float(tolerance)
    passed = math.isfinite(measured) and abs(measured - predicted) <= tolerance
    known = _rivals(rivals)
    passed &= all(abs(measured - rival.value) > tolerance for rival in known)
    return Claim(
        name, statement, source, predicted, measured, tolerance, passed, "=", details, known
    )


def at_most(
    name: str,
    statement: str,
    source: str,
    bound: float,
    measured: float,
    slack: float = 0.0,
    details: str = "",
    rivals: Sequence[Rival] = (),
) -> Claim:
    """Claim that a measured value is at most a bound plus the slack.

    Example:
        >>> at_most("demo/small", "Two is at most one.", "arithmetic", 1.0, 2.0).passed
        False

    The arguments are those of `close`, with a bound for `predicted` and a slack for `tolerance`. A
    rival is rejected if its value is above the bound plus the slack.
    """
    bound, measured, slack = float(bound), float(measured), float(slack)
    known = _rivals(rivals)
    passed = math.isfinite(measured) and measured <= bound + slack
    passed &= all(rival.value > bound + slack for rival in known)
    return Claim(name, statement, source, bound, measured, slack, passed, "<=", details, known)


def at_least(
    name: str,
    statement: str,
    source: str,
    bound: float,
    measured: float,
    slack: float = 0.0,
    details: str = "",
    rivals: Sequence[Rival] = (),
) -> Claim:
    """Claim that a measured value is at least a bound minus the slack.

    Example:
        >>> at_least("demo/large", "Two is at least one.", "arithmetic", 1.0, 2.0).passed
        True

    The arguments are those of `close`, with a bound for `predicted` and a slack for `tolerance`. A
    rival is rejected if its value is below the bound minus the slack.
    """
    bound, measured, slack = float(bound), float(measured), float(slack)
    known = _rivals(rivals)
    passed = math.isfinite(measured) and measured >= bound - slack
    passed &= all(rival.value < bound - slack for rival in known)
    return Claim(name, statement, source, bound, measured, slack, passed, ">=", details, known)


def _rivals(rivals: Sequence[Rival]) -> tuple[Rival, ...]:
    return tuple(Rival(rival.name, float(rival.value)) for rival in rivals)
