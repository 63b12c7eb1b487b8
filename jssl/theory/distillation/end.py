r"""Where training ends: sizes, the Gram matrix of the encoder, and what a bottleneck keeps.

    aligned, lambda > 0         jepa  w = rho, encoder rho^L
                                mae   w = rho^{1/(L+1)}, encoder rho^{L/(L+1)}           (D-6)
    any moments, balanced       jepa  B^T G B = G^{1 + 1/L}      mae  G = (B^T B)^{L/(L+1)}   (D-16)
    fewer outputs than inputs   jepa  the left invariant subspace of B of its d largest eigenvalues
                                mae   reduced-rank regression: the top d right singular vectors of
                                      B S_x^{1/2}, times S_x^{-1/2}                      (D-15)

with B = S_yx S_x^{-1} and G = W^T W. The iteration G <- (B^T G B)^{L/(L+1)} contracts by L/(L+1) in
the Thompson metric, so its positive definite solution is unique. The predictor ends with the
eigenvalues of B. Derived here, after the setting of Littwin et al. 2024, arXiv 2407.03475.
"""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.linalg

from jssl.data.checks import require_count
from jssl.data.moments import Moments
from jssl.errors import InputError
from jssl.theory.distillation.modes import check_moments, share_of
from jssl.theory.distillation.objective import arrays, check_setting
from jssl.theory.distillation.times import layer_end
from jssl.types import Array

_SINGULAR_ABOVE = 1e12  # condition number
_SINGULAR = (
    "the regression of target on context is singular, so not every direction is learned; pass dim, "
    "the number of learned directions"
)


class EndState(NamedTuple):
    """The end of a mode.

    Attributes:
        layer: (...) w of every layer and of the predictor; 0 where the mode is not learned.
        encoder: (...) w^L.
    """

    layer: Array
    encoder: Array


def end_state(
    covariance: Any, coefficient: Any, *, depth: int = 1, objective: str = "jepa"
) -> EndState:
    """Return where an aligned mode ends (D-6, D-18).

    Example:
        >>> rho = jnp.array([0.9, 0.4])
        >>> [round(x, 3) for x in end_state(1.0, rho, depth=3).encoder.tolist()]
        [0.729, 0.064]
        >>> end = end_state(1.0, rho, depth=3, objective="mae")
        >>> [round(x, 3) for x in end.encoder.tolist()]
        [0.924, 0.503]

    Args:
        covariance: (...) lambda, of any sign; where it is not positive the mode ends at 0.
        coefficient: (...) rho.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".

    Returns:
        (...) each. 0 where lambda <= 0 or rho <= 0: such a mode is not learned, and its layers
        shrink to zero. NaN where lambda or rho is NaN.

    Raises:
        InputError: for a depth out of range or an unknown objective.
    """
    depth = check_setting(depth, objective)
    lam, rho = arrays(covariance, coefficient)
    learned = ~((lam <= 0) | (rho <= 0))  # NaN stays NaN
    layer = jnp.where(learned, layer_end(jnp.where(learned, rho, 1), depth, objective), 0)
    layer = jnp.where(jnp.isnan(lam), lam, layer)
    return EndState(layer, layer**depth)


def selected_subspace(moments: Moments, dim: int, *, objective: str = "jepa") -> np.ndarray:
    """Return the row space of the encoder that training with a bottleneck ends in (D-15).

    Example:
        >>> moments = Moments(np.diag([4.0, 1.0]), np.diag([2.0, 0.8]))
        >>> print(abs(selected_subspace(moments, 1)))
        [[0. 1.]]
        >>> print(abs(selected_subspace(moments, 1, objective="mae")))
        [[1. 0.]]

    It does not depend on the start: JEPA keeps the directions of the largest regression
    coefficients, a masked autoencoder those that explain most variance. Eigenvalues of B are
    compared by their real parts; complex pairs are kept or dropped together.

    Args:
        moments: with a context moment of full rank.
        dim: number of outputs d, 1 to m.
        objective: "jepa" or "mae".

    Returns:
        (d, m) orthonormal rows.

    Raises:
        InputError: for moments that are not valid, a dim out of range, one that keeps directions
            that are not learned, or one that separates eigenvalues with equal real parts or, for
            "mae", directions that explain equal variance. Directions that JEPA does not learn are
            those of `final_gram`; a masked autoencoder does not learn those that B maps to 0.
    """
    check_setting(1, objective)
    context, cross, _ = check_moments(moments)
    dim = require_count("dim", dim, high=len(context))
    regression = _regression(context, cross)
    if objective == "jepa":
        return _jepa_rows(context, cross, regression, dim)
    rows, learned = _mae_rows(context, regression, dim)
    if learned < dim:
        raise InputError(_SINGULAR)
    return rows


def final_gram(
    moments: Moments, *, depth: int = 1, objective: str = "jepa", dim: int | None = None
) -> np.ndarray:
    """Return G = W^T W at the end of training from a balanced start (D-16).

    Example:
        >>> moments = Moments(np.eye(2), np.array([[0.6, 0.2], [0.1, 0.4]]))
        >>> print(final_gram(moments).round(4))
        [[0.3449 0.1649]
         [0.1649 0.2192]]

    The moments need not commute, and S_yx need not be symmetric. A start is balanced if
    W_{a+1}^T W_{a+1} = W_a W_a^T and V^T V = W_L W_L^T.

    Args:
        moments: with a context moment of full rank.
        depth: number of layers L, 1 to 256.
        objective: "jepa" or "mae".
        dim: number of outputs d, 1 to m; None for m. With d < m the row space is that of
            `selected_subspace`. Pass the number of learned directions where some eigenvalues of B
            are not learned. Where S_yx is symmetric, JEPA does not learn those that are not
            positive (D-18), and they are refused. Where it is not, they can be learned, and so can
            they by a masked autoencoder from a start that is not exactly aligned.

    Returns:
        (m, m).

    Raises:
        InputError: for moments that are not valid, a B that is singular or has eigenvalues that are
            not learned, a depth out of range or a dim out of range.
    """
    depth = check_setting(depth, objective)
    context, cross, _ = check_moments(moments)
    regression = _regression(context, cross)
    power = depth / (depth + 1)
    dim = len(context) if dim is None else require_count("dim", dim, high=len(context))
    if objective == "mae":
        rows = np.eye(dim) if dim == len(context) else _mae_rows(context, regression, dim)[0]
        # Of all regressions with this row space the best one is S_yx Y^T (Y S_x Y^T)^{-1} Y.
        best = np.linalg.solve(rows @ context @ rows.T, rows @ cross.T).T @ rows
        return _power(best.T @ best, power)
    rows = _jepa_rows(context, cross, regression, dim)
    inside = rows @ regression @ rows.T
    gram = np.eye(len(rows))
    for _ in range(math.ceil(40 / math.log1p(1 / depth))):
        gram = _power(inside.T @ gram @ inside, power)
    return rows.T @ gram @ rows


def _real_parts(context: np.ndarray, regression: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the real parts of the eigenvalues of B, descending, and the rounding of each.

    That of B = S_yx S_x^{-1} is its norm times the condition number of S_x. An eigenvalue moves by
    up to that over the cosine of its left and right eigenvectors.
    """
    values, left, right = scipy.linalg.eig(regression, left=True, right=True)
    cosines = np.abs(np.sum(left.conj() * right, axis=0))
    moved = 8 * len(values) * np.finfo(float).eps * np.linalg.norm(regression, 2)
    moved *= np.linalg.cond(context) / np.maximum(cosines, np.finfo(float).tiny)
    order = np.argsort(-values.real)
    return values.real[order], moved[order]


def _jepa_rows(
    context: np.ndarray, cross: np.ndarray, regression: np.ndarray, dim: int
) -> np.ndarray:
    """Return the left invariant subspace of B of its largest eigenvalues, which are learned."""
    _require_learned(cross, regression, dim)
    rows = np.eye(len(regression))
    if dim < len(regression):
        parts, rounding = _real_parts(context, regression)
        bound = (parts[dim - 1] + parts[dim]) / 2
        tied = parts[dim - 1] - parts[dim] <= rounding[dim - 1] + rounding[dim]
        _, basis, count = scipy.linalg.schur(
            regression.T, output="real", sort=lambda re, _im: re > bound
        )
        if tied or count != dim:
            message = (
                f"dim {dim} separates eigenvalues of the regression with equal real parts; choose "
                "another dim"
            )
            raise InputError(message)
        rows = np.linalg.qr(basis[:, :dim])[0].T
    if np.linalg.cond(rows @ regression @ rows.T) > _SINGULAR_ABOVE:
        raise InputError(_SINGULAR)
    return rows


def _mae_rows(context: np.ndarray, regression: np.ndarray, dim: int) -> tuple[np.ndarray, int]:
    """Return the rows of reduced-rank regression, and how many of all directions are learned."""
    values, vectors = np.linalg.eigh(context)
    root = (vectors * np.sqrt(values)) @ vectors.T
    _, sizes, right = np.linalg.svd(regression @ root)
    learned = int((sizes > sizes[0] / _SINGULAR_ABOVE).sum())
    rounding = 8 * len(sizes) * np.finfo(float).eps * sizes[0] * (values[-1] / values[0])
    if dim < learned and sizes[dim - 1] - sizes[dim] <= rounding:
        message = (
            f"dim {dim} separates directions that explain equal variance, of which the start of a "
            "masked autoencoder decides; choose another dim"
        )
        raise InputError(message)
    rows = np.linalg.solve(root, right[:dim].T).T
    return np.linalg.qr(rows.T)[0].T, learned


def _require_learned(cross: np.ndarray, regression: np.ndarray, dim: int) -> None:
    """Raise for directions that JEPA does not learn, where S_yx is symmetric (D-18)."""
    if share_of(cross / 2 - cross.T / 2, cross) > 1e-6:
        return
    every = np.sort(np.linalg.eigvals(regression).real)[::-1]
    last, floor = float(every[dim - 1]), 1e-12 * float(np.abs(every).max())
    if last > floor:
        return
    if last > -floor:  # 0 up to rounding
        raise InputError(_SINGULAR)
    learned = int((every > floor).sum())
    why = (
        f"the regression of target on context has the eigenvalue {last:.3g}, and a mode whose "
        "eigenvalue is not positive is not learned: from an aligned start with a positive predictor"
        " its layers and predictor shrink to zero; "
    )
    how = f"pass dim={learned}, the number of learned directions" if learned else "no mode is left"
    raise InputError(why + how)


def _regression(context: np.ndarray, cross: np.ndarray) -> np.ndarray:
    if np.linalg.cond(context) > _SINGULAR_ABOVE:
        message = (
            "context must have full rank; project both views onto the directions in which it has "
            "variance"
        )
        raise InputError(message)
    return np.linalg.solve(context, cross.T).T


def _power(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0) ** power) @ vectors.T
