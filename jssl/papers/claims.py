"""Claims and their verdicts. Each tolerance follows from theory and is fixed before the run.

A claim names rivals: other theories of the measured quantity that a competent reader would hold
possible. It holds only if the measurement agrees with the prediction and excludes every rival, and
is undecided if it agrees with the prediction but not every rival is excluded:

- A claim of equality excludes a rival if the two differ by at least two tolerances in theory, and
  by more than one tolerance in the measurement.
- A bound excludes a rival beyond it. An upper bound that is positive is the tolerance of an error,
  and a rival must be at least twice as large.
- A claim with a standard error excludes its rivals only if its power is at least `LEAST_POWER`.
"""

import math
from collections.abc import Iterable, Sequence

from jssl.types import Claim, Rival, Verdict

NOT_IN_PAPERS = ("Beyond", "Derived here", "Requirement of jssl")
"""How the source of a claim begins that is not made in a paper."""

LEAST_POWER = 0.9
"""Least power against the nearest rival of a claim that holds."""

VERDICTS: tuple[Verdict, ...] = ("holds", "undecided", "fails")


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
    standard_error: float | None = None,
) -> Claim:
    """Claim that a measured value equals the predicted one within an absolute tolerance.

    Example:
        >>> double, near = (Rival("twice as much", 2.0),), (Rival("a little more", 1.02),)
        >>> close("demo/half", "Half of two is one.", "s", 1.0, 1.01, 0.05, rivals=double).verdict
        'holds'
        >>> close("demo/half", "Half of two is one.", "s", 1.0, 1.01, 0.05, rivals=near).verdict
        'undecided'
        >>> close("demo/half", "Half of two is one.", "s", 1.0, 1.1, 0.05, rivals=double).verdict
        'fails'

    A value that is not finite never passes.

    Args:
        name: short and unique, `paper/what`.
        statement: one sentence of at most 25 words that a reader of the paper understands.
        source: paper and equation or figure.
        predicted: value predicted by theory.
        measured: value measured in the simulation.
        tolerance: largest allowed absolute difference of the two; follows from theory.
        details: origin of the tolerance, sizes and settings, in complete sentences.
        rivals: other theories and their values. Each must be at least two tolerances from the
            prediction and more than one from the measurement. A value that is NaN is not excluded.
        standard_error: of the difference of measurement and prediction; None if neither is random.
    """
    return _judged(
        Claim(
            name,
            statement,
            source,
            float(predicted),
            float(measured),
            float(tolerance),
            "fails",
            "=",
            details,
            _rivals(rivals),
            _error(standard_error),
        )
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
    standard_error: float | None = None,
) -> Claim:
    """Claim that a measured value is at most a bound plus the slack.

    Example:
        >>> at_most("demo/small", "Two is at most one.", "arithmetic", 1.0, 2.0).passed
        False

    The arguments are those of `close`, with a bound for `predicted` and a slack for `tolerance`. A
    rival is excluded if its value is above the bound plus the slack, and at least twice that where
    the bound is positive.
    """
    return _judged(
        Claim(
            name,
            statement,
            source,
            float(bound),
            float(measured),
            float(slack),
            "fails",
            "<=",
            details,
            _rivals(rivals),
            _error(standard_error),
        )
    )


def at_least(
    name: str,
    statement: str,
    source: str,
    bound: float,
    measured: float,
    slack: float = 0.0,
    details: str = "",
    rivals: Sequence[Rival] = (),
    standard_error: float | None = None,
) -> Claim:
    """Claim that a measured value is at least a bound minus the slack.

    Example:
        >>> none = (Rival("nothing", 0.0),)
        >>> at_least("demo/large", "Two is at least one.", "s", 1.0, 2.0, rivals=none).passed
        True

    The arguments are those of `close`, with a bound for `predicted` and a slack for `tolerance`. A
    rival is excluded if its value is below the bound minus the slack.
    """
    return _judged(
        Claim(
            name,
            statement,
            source,
            float(bound),
            float(measured),
            float(slack),
            "fails",
            ">=",
            details,
            _rivals(rivals),
            _error(standard_error),
        )
    )


def nearest_rival(claim: Claim) -> Rival | None:
    """Return the rival whose value is closest to the prediction; None if the claim has none.

    Example:
        >>> rivals = (Rival("twice as much", 2.0), Rival("nothing", 0.5))
        >>> nearest_rival(close("demo/a", "One is one.", "s", 1, 1, 0, rivals=rivals)).name
        'nothing'

    A value that is NaN is the nearest: nothing excludes it.
    """
    return min(claim.rivals, key=lambda rival: _distance(claim, rival), default=None)


def power(claim: Claim) -> float | None:
    """Return the power of a stochastic claim against its nearest rival; None if it is not random.

    Example:
        >>> rivals = (Rival("nothing", 0.0),)
        >>> claim = close("demo/a", "s", "s", 1, 1, 0.4, rivals=rivals, standard_error=0.1)
        >>> print(round(power(claim), 6))
        1.0

    The power is the probability that a repetition of the run rejects the rival if the prediction is
    true. For a bound, which predicts no value, it is the smaller one of two probabilities: that a
    repetition stays within the bound, the measured value being true, and that it does not, the
    rival being true. Errors are taken as Gaussian.
    """
    rival, error = nearest_rival(claim), claim.standard_error
    if rival is None or error is None:
        return None
    if claim.relation == "=":
        return _probability(_distance(claim, rival) - claim.tolerance, error)
    edge = claim.predicted + _sign(claim) * claim.tolerance
    within = _probability(_sign(claim) * (edge - claim.measured), error)
    return min(within, _probability(_sign(claim) * (rival.value - edge), error))


def count(claims: Iterable[Claim]) -> dict[Verdict, int]:
    """Return the number of claims of each verdict.

    Example:
        >>> count([at_most("demo/small", "Two is at most one.", "arithmetic", 1.0, 2.0)])
        {'holds': 0, 'undecided': 0, 'fails': 1}
    """
    verdicts = [claim.verdict for claim in claims]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def _judged(claim: Claim) -> Claim:
    if not _agrees(claim):
        return claim._replace(verdict="fails")
    decided = bool(claim.rivals) and all(_excludes(claim, rival) for rival in claim.rivals)
    known = power(claim)
    if known is not None:
        decided &= known >= LEAST_POWER
    return claim._replace(verdict="holds" if decided else "undecided")


def _agrees(claim: Claim) -> bool:
    if not math.isfinite(claim.measured):
        return False
    difference = claim.measured - claim.predicted
    if claim.relation == "=":
        return abs(difference) <= claim.tolerance
    return _sign(claim) * difference <= claim.tolerance


def _excludes(claim: Claim, rival: Rival) -> bool:
    if claim.relation == "=":
        apart = _distance(claim, rival) >= 2 * claim.tolerance
        return apart and abs(claim.measured - rival.value) > claim.tolerance
    edge = claim.predicted + _sign(claim) * claim.tolerance
    if claim.relation == "<=" and edge > 0:
        return rival.value >= 2 * edge
    return _sign(claim) * (rival.value - edge) > 0


def _sign(claim: Claim) -> int:
    return -1 if claim.relation == ">=" else 1


def _distance(claim: Claim, rival: Rival) -> float:
    distance = abs(rival.value - claim.predicted)
    return 0.0 if math.isnan(distance) else distance


def _probability(distance: float, error: float) -> float:
    """Return the probability that a Gaussian error is less than a distance."""
    if error == 0 or math.isinf(distance):
        return float(distance >= 0)
    return 0.5 * math.erfc(-distance / error / math.sqrt(2))


def _error(standard_error: float | None) -> float | None:
    return None if standard_error is None else float(standard_error)


def _rivals(rivals: Sequence[Rival]) -> tuple[Rival, ...]:
    return tuple(Rival(rival.name, float(rival.value)) for rival in rivals)
