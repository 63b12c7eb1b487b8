"""Rival predictions that many claims share."""

from collections.abc import Mapping

from jssl.types import Rival

POWERS: Mapping[float, str] = {
    0.0: "no dependence",
    -0.25: "the inverse fourth root",
    -0.5: "the inverse square root",
    -1.0: "the inverse",
    -2.0: "the inverse square",
}
"""Exponent -> the law in words."""


def powers(*exponents: float) -> tuple[Rival, ...]:
    """Return rivals of a claim on an exponent.

    Example:
        >>> powers(0, -1)
        (Rival(name='no dependence', value=0.0), Rival(name='the inverse', value=-1.0))

    Args:
        exponents: keys of `POWERS`.
    """
    return tuple(Rival(POWERS[exponent], float(exponent)) for exponent in exponents)


def factors(predicted: float, half: str, double: str) -> tuple[Rival, ...]:
    """Return the rivals of a formula in which a factor of two is easily lost.

    Example:
        >>> factors(3.0, "one view counted", "both orders of a pair counted")
        (Rival(name='one view counted', value=1.5), Rival(name='both ... counted', value=6.0))

    Args:
        predicted: value of the formula.
        half: what gives half of it.
        double: what gives twice of it.
    """
    return Rival(half, predicted / 2), Rival(double, 2 * predicted)
