r"""Which of two features one unit learns: with equal second moments the kurtosis decides (I-35).

Near a small weight and for kurtoses k_i = m4 - 3 m2^2 < 0, the basins of the two features meet at
the angle theta of the start (q_1, q_2) with tan(theta) = sqrt(k_1 / k_2). It is exact for equal
laws (45 degrees) and for two points against three with P = 1/2 (54.7 degrees).

References:
    Derived here.
"""

import math

from jssl.errors import InputError
from jssl.theory.highdim.settings import Law, OnePass, check, check_law, independent


def selection_angle(first: Law, second: Law) -> float:
    """Return the angle of the start, in degrees, that separates the basins of the two features.

    Example:
        >>> from jssl.theory.highdim import rademacher, three_points
        >>> round(selection_angle(rademacher(), three_points(1.0, 0.5)), 4)
        54.7356

    Starts with a smaller angle to the first feature end at it.

    Args:
        first: law of the first signal, of negative kurtosis.
        second: law of the second signal, with the same second moment and negative kurtosis.

    Raises:
        InputError: for unequal second moments, or a kurtosis that is not negative (then the unit
            ends on a mixture).
    """
    first, second = check_law(first), check_law(second)
    moments = [(float(law.moment(2)[0]), float(law.moment(4)[0])) for law in (first, second)]
    if not math.isclose(moments[0][0], moments[1][0], rel_tol=1e-9):
        message = "both signals must have one second moment: the larger one wins otherwise"
        raise InputError(message)
    kurtoses = [m4 - 3 * m2**2 for m2, m4 in moments]
    if max(kurtoses) >= 0:
        message = "both signals must have m4 < 3 m2^2; the unit learns a mixture of sparse signals"
        raise InputError(message)
    return math.degrees(math.atan(math.sqrt(kurtoses[0] / kurtoses[1])))


def two_features(first: Law, second: Law, setting: OnePass) -> OnePass:
    """Return the setting with both signals.

    Example:
        >>> from jssl.theory.highdim import OnePass, rademacher
        >>> two_features(rademacher(), rademacher(), OnePass(rademacher())).law.points.shape
        (4, 2)
    """
    setting = check(setting)
    return setting._replace(law=independent(first, second))
