"""The moments of context and target, and the modes in which they are learned.

    S_x = E[x x^T],   S_yx = E[y x^T],   S_y = E[y y^T]
    lambda_i = q_i^T S_yx q_i,   s_i = q_i^T S_x q_i,   rho_i = lambda_i / s_i

with q_i the eigenvectors of S_yx (D-17): early growth depends on S_yx alone, and S_x enters later.
The formulas of `times` are exact where S_x is diagonal in that basis.
After Littwin et al. 2024, arXiv 2407.03475, whose covariance is lambda and whose regression
coefficient is rho.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.checks import require_count
from jssl.data.moments import Moments, require_moments
from jssl.errors import InputError
from jssl.host_arithmetic import host_float64
from jssl.theory.landscape.covariances import host_covariance
from jssl.wording import percent

MOST_OFF_DIAGONAL = 0.2
"""Off-diagonal share of S_x above which the times of `times` are marked as approximate."""


class RegressionModes(NamedTuple):
    """Modes of the moments, the largest covariance first.

    Attributes:
        covariances: (k,) lambda_i, of any sign.
        coefficients: (k,) rho_i = lambda_i / s_i.
        vectors: (k, m) unit vectors q_i as rows.
        off_diagonal: Frobenius norm of the off-diagonal part of S_x in this basis over its whole.
        caveats: where the formulas mode by mode do not hold, one sentence each.
    """

    covariances: np.ndarray
    coefficients: np.ndarray
    vectors: np.ndarray
    off_diagonal: float
    caveats: tuple[str, ...]


def check_moments(moments: Moments) -> Moments:
    """Return the moments as float64 NumPy arrays, or say what is wrong with them.

    Example:
        >>> print(check_moments(Moments([1.0, 0.5], np.eye(2) / 4)).context.dtype)
        float64
        >>> check_moments(Moments(np.eye(2), np.eye(3)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: cross must be (2, 2) like context; got shape (3, 3)

    Args:
        moments: on the host.

    Raises:
        InputError: for shapes that do not match, values that are not finite, S_x or the joint
            moment [[S_x, S_yx^T], [S_yx, S_y]] not positive semi-definite, or S_yx with a part
            along a direction in which S_x has none.
    """
    require_moments(moments)
    context = host_covariance("context", moments.context)
    cross = host_float64("cross", moments.cross)
    if cross.shape != context.shape:
        message = f"cross must be {context.shape} like context; got shape {cross.shape}"
        raise InputError(message)
    if not np.isfinite(cross).all():
        message = "cross has values that are not finite; drop or repair them"
        raise InputError(message)
    values, vectors = np.linalg.eigh(context)
    empty = values <= 1e-12 * max(values[-1], 0)
    if np.abs(cross @ vectors[:, empty]).max(initial=0) > 1e-6 * np.abs(cross).max():
        message = (
            "cross has a part along a direction in which context has no variance; the two moments "
            "are not of the same views"
        )
        raise InputError(message)
    if moments.target is None:
        return Moments(context, cross)
    target = host_covariance("target", moments.target, len(context))
    host_covariance(
        "the joint moment of both views", np.block([[context, cross.T], [cross, target]])
    )
    return Moments(context, cross, target)


def regression_modes(moments: Moments, count: int | None = None) -> RegressionModes:
    """Return the modes of moments in the eigenbasis of S_yx (D-17).

    Example:
        >>> modes = regression_modes(Moments(np.diag([2.0, 1.0]), np.diag([1.0, 0.8])))
        >>> modes.covariances.tolist(), modes.coefficients.tolist()
        ([1.0, 0.8], [0.5, 0.8])

    Where S_yx is not symmetric, its symmetric part is used, and a caveat gives the size of the
    rest.

    Args:
        moments: on the host.
        count: number of modes k, 1 to m; None for all.

    Raises:
        InputError: as `check_moments`, or for a count out of range.
    """
    context, cross, _ = check_moments(moments)
    k = len(cross) if count is None else require_count("count", count, high=len(cross))
    symmetric = cross / 2 + cross.T / 2
    values, vectors = np.linalg.eigh(symmetric)
    largest = np.abs(values).max(initial=0.0)
    values[np.abs(values) <= len(values) * np.finfo(float).eps * largest] = 0  # rounding
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    inside = vectors.T @ context @ vectors
    variances = np.diag(inside)
    off_diagonal = share_of(inside - np.diag(variances), inside)
    coefficients = np.divide(values, variances, out=np.zeros(k), where=variances > 0)
    caveats = []
    if off_diagonal > MOST_OFF_DIAGONAL:
        caveats.append(
            f"The moments do not commute: {percent(off_diagonal)} of the context moment is "
            "off-diagonal in the basis of the modes, so times are approximate."
        )
    rest = share_of(cross / 2 - cross.T / 2, cross)
    if rest > 1e-6:
        caveats.append(
            f"The cross moment is not symmetric: its antisymmetric part is {percent(rest)} of it, "
            "and the modes are those of the symmetric part."
        )
    caveats += [unlearned_mode(i, value) for i, value in enumerate(values) if value <= 0]
    return RegressionModes(values, coefficients, vectors.T, off_diagonal, tuple(caveats))


def unlearned_mode(index: Any, covariance: Any, coefficient: Any = None) -> str:
    """Return the sentence that says why a mode with lambda <= 0 or rho <= 0 is not learned (D-18).

    Example:
        >>> print(unlearned_mode(1, -0.25))
        Mode 2 is not learned: its covariance -0.25 is not positive, so from an aligned start with
        a positive predictor its layers and predictor shrink to zero.

    Args:
        index: of the mode, from 0.
        covariance: lambda.
        coefficient: rho, named where lambda is positive; None where it has the sign of lambda.
    """
    name, value = "covariance", float(covariance)
    if value > 0 and coefficient is not None:
        name, value = "regression coefficient", float(coefficient)
    return (
        f"Mode {index + 1} is not learned: its {name} {value:.3g} is not positive, "
        "so from an aligned start with a positive predictor its layers and predictor shrink to "
        "zero."
    )


def share_of(part: np.ndarray, whole: np.ndarray) -> float:
    """Return the ratio of two Frobenius norms, whose squares may exceed the largest number.

    Example:
        >>> share_of(3e300 * np.eye(2), 6e300 * np.eye(2)), share_of(np.eye(2), np.zeros((2, 2)))
        (0.5, 0.0)
    """
    unit = float(np.abs(whole).max())
    return float(np.linalg.norm(part / unit) / np.linalg.norm(whole / unit)) if unit else 0.0
