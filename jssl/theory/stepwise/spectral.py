r"""Spectral contrastive learning of a linear embedding, solved in closed form from any start.

The loss of HaoChen et al. (2021) for f(x) = W x on whitened inputs (Sigma = I) is, up to d,

    L = ||W W^T||_F^2 - 2 tr(W T W^T) + d,     dW/dt = 4 (W T - W W^T W),

with T the cross moment Gamma of the whitened views. P = W^T W solves a Riccati equation, so that

    P(t) = e^{4Tt} W_0^T [I + W_0 T^{-1} (e^{8Tt} - I) W_0^T]^{-1} W_0 e^{4Tt},

which overflows, and cancels, long before the last mode is learned. The safe form used here: let
T = V diag(l) V^T with l descending and V^T W_0^T = G X^{-1}, with X invertible and G (m, d) in
column echelon form: column j is zero above its pivot row p_j, where it is one. With l+ =
max(l, 0), a_j = l+_{p_j} and h(l) = (1 - e^{-8 l t}) / l,

    F_rj = G_rj e^{-4 (a_j - l_r) t},     H_rj = G_rj e^{-4 (a_j - l+_r) t},
    P = V F [e^{-4 a t} X^T X e^{-4 a t} + H^T h(|l|) H]^{-1} F^T V^T:

every exponent is at most zero. W_0 of full rank in the top-d span has p_j = j; starts
orthogonal to top modes, starts of lower rank, and d > m need no special case. In general
coordinates (Sigma not I) this is the flow with inputs whitened first, see `whiten`; plain flow
there has no closed form.

Symbols: t = learning rate x step. The formula is derived here; the loss is the case beta = 1 of
`jssl.theory.stepwise.vicreg`. Setting: Simon et al., ICML 2023, arXiv 2303.15438.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.types import Array


class Whitening(NamedTuple):
    """Whitened coordinates y = Sigma^{-1/2} x, in which a weight W is W Sigma^{1/2}.

    Attributes:
        cross: (m, m) T = Sigma^{-1/2} Gamma Sigma^{-1/2}.
        root: (m, m) Sigma^{1/2}.
        inverse_root: (m, m) Sigma^{-1/2}, zero on the null space of Sigma.
    """

    cross: Array
    root: Array
    inverse_root: Array


def whiten(second_moment: Array, cross_moment: Array) -> Whitening:
    """Return whitened coordinates for `spectral_factor` and `spectral_gram`.

    Example:
        >>> sigma, gamma = jnp.diag(jnp.array([4.0, 1.0])), jnp.diag(jnp.array([2.0, 0.75]))
        >>> print(*(f"{entry:.3f}" for entry in jnp.diag(whiten(sigma, gamma).cross)))
        0.500 0.750

    If W_0 is the weight on raw inputs, W_0 `root` is the one on whitened inputs, and an embedding
    factor F there is F `inverse_root` here. This is training on whitened inputs: in raw
    coordinates dW/dt = -(dL/dW) Sigma^{-1}, which shares its stationary points, but not its path,
    with dW/dt = -dL/dW.

    Args:
        second_moment: (m, m) Sigma, positive semidefinite.
        cross_moment: (m, m) Gamma, symmetric.

    Raises:
        InputError: if the two are not square of one size.
    """
    _require_square("second_moment and cross_moment", second_moment, cross_moment)
    variances, basis = jnp.linalg.eigh(second_moment)
    cut = len(variances) * jnp.finfo(variances.dtype).eps * variances[-1]
    kept = variances > cut
    roots = jnp.sqrt(jnp.where(kept, variances, 1))
    root = _product(basis * jnp.where(kept, roots, 0), basis.T)
    inverse_root = _product(basis * jnp.where(kept, 1 / roots, 0), basis.T)
    cross = _product(_product(inverse_root, cross_moment), inverse_root)
    return Whitening((cross + cross.T) / 2, root, inverse_root)


@jax.jit
def spectral_factor(t: Array | float, start_weight: Array, cross_moment: Array) -> Array:
    """Return F(t) (d, m) with F^T F = W(t)^T W(t): the weight up to a rotation of its outputs.

    Example:
        >>> cross = jnp.diag(jnp.array([0.75, 0.5, -0.25]))
        >>> factor = spectral_factor(jnp.array([0.0, 1e4]), 1e-3 * jnp.ones((2, 3)), cross)
        >>> print(*(f"{size:.3f}" for size in (factor**2).sum((1, 2))))
        0.000 0.750

    The start in this example has rank one, so only the top mode is ever learned. The rotation is
    not the trajectory's own (that has no closed form); F F^T shares its eigenvalues with the
    covariance W W^T of the embedding.

    Args:
        t: (...) times >= 0.
        start_weight: (d, m) W_0 of any rank and any d; entries along eigenvectors of T below the
            rounding error of the largest count as zero.
        cross_moment: (m, m) symmetric T, the cross moment of whitened views (`whiten`).

    Returns:
        (..., d, m).

    Raises:
        InputError: if the shapes do not fit.

    References:
        Derived here, see the module; loss of HaoChen et al. (2021), arXiv 2106.04156, section 3.2.
    """
    _require_square("cross_moment", cross_moment)
    if np.ndim(start_weight) != 2 or start_weight.shape[1] != len(cross_moment):
        shapes = f"(d, {len(cross_moment)}) to match cross_moment; got {np.shape(start_weight)}"
        message = f"start_weight must be {shapes}"
        raise InputError(message)
    ascending, vectors = jnp.linalg.eigh(cross_moment)
    eigenvalues, basis = ascending[::-1], vectors[:, ::-1]
    grown = jnp.maximum(eigenvalues, 0)
    echelon, transform, pivots = _echelon(_product(basis.T, start_weight.T))
    top = jnp.append(grown, 0)[pivots]
    start_bracket = _product(transform.T, transform)

    def factor(time: Array) -> Array:
        outer = echelon * _decay(top - eigenvalues[:, None], time)
        held = echelon * _decay(top - grown[:, None], time)
        gain = saturation(time, jnp.abs(eigenvalues))[:, None]
        decay = _decay(top, time)
        bracket = decay[:, None] * start_bracket * decay + _product(held.T, gain * held)
        scale = jax.lax.rsqrt(jnp.diagonal(bracket))
        lower = jnp.linalg.cholesky(scale[:, None] * bracket * scale)
        scaled = scale[:, None] * _product(basis, outer).T
        return jax.scipy.linalg.solve_triangular(lower, scaled, lower=True)

    t = jnp.asarray(t, eigenvalues.dtype)
    return jax.vmap(factor)(t.ravel()).reshape(*t.shape, *start_weight.shape)


@jax.jit
def spectral_gram(t: Array | float, start_weight: Array, cross_moment: Array) -> Array:
    """Return P(t) = W(t)^T W(t), (..., m, m), from any start.

    Example:
        >>> cross = jnp.diag(jnp.array([0.75, 0.5, -0.25]))
        >>> start = jnp.array([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]])
        >>> print(*(f"{entry:.3f}" for entry in jnp.diag(spectral_gram(1e4, start, cross))))
        0.750 0.500 0.000

    Arguments, exceptions and references are those of `spectral_factor`.
    """
    factor = spectral_factor(t, start_weight, cross_moment)
    return _product(factor.mT, factor)


def spectral_loss(factor: Array, cross_moment: Array) -> Array:
    """Return ||F F^T||^2 - 2 tr(F T F^T) + d for weights or factors F (..., d, m).

    Example:
        >>> spectral_loss(jnp.eye(2, 3), jnp.eye(3)).item()
        0.0

    The constant d makes it the squared-variance VICReg loss at beta = 1 for whitened inputs; the
    stationary value is d - sum_{j <= d} max(0, l_j)^2.

    Args:
        factor: (..., d, m).
        cross_moment: (m, m) symmetric T.

    Returns:
        (...) losses.

    References:
        HaoChen et al. (2021), arXiv 2106.04156, section 3.2.
    """
    covariance = _product(factor, factor.mT)
    aligned = _product(factor, cross_moment) * factor
    return (covariance**2).sum((-2, -1)) - 2 * aligned.sum((-2, -1)) + factor.shape[-2]


def saturation(t: Array | float, rates: Array) -> Array:
    """Return h = (1 - e^{-8 rate t}) / rate for t >= 0 and rate >= 0; 8 t at rate 0.

    Example:
        >>> saturation(100.0, jnp.array([0.0, 0.5])).tolist()
        [800.0, 2.0]
    """
    exponent = 8 * rates * t
    small = exponent < 1e-4
    series = 8 * t * (1 - exponent / 2 + exponent**2 / 6 - exponent**3 / 24)
    return jnp.where(small, series, -jnp.expm1(-exponent) / jnp.where(small, 1, rates))


def _decay(exponents: Array, t: Array) -> Array:
    """e^{-4 exponents t}; where an exponent is negative, the echelon form has a zero."""
    return jnp.exp(-4 * jnp.maximum(exponents, 0) * t)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


def _echelon(rows: Array) -> tuple[Array, Array, Array]:
    """Bring `rows` (m, d) to column echelon form: rows @ transform = echelon.

    Gaussian elimination on the columns, the largest free entry of each row as pivot. Returns the
    echelon form, the (d, d) transform, and the pivot row of each column, -1 where it is zero.
    """
    height, width = rows.shape
    noise = max(height, width) * jnp.finfo(rows.dtype).eps * jnp.abs(rows).max(initial=0)

    def eliminate(row: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        columns, pivots = carry
        free = jnp.where(pivots < 0, columns[row], 0)
        chosen = jnp.argmax(jnp.abs(free))
        usable = jnp.abs(free[chosen]) > noise
        is_pivot = (jnp.arange(width) == chosen) & usable
        pivot = columns[:, chosen] / jnp.where(usable, free[chosen], 1)
        multiples = jnp.where(is_pivot | ~usable, 0, free)
        columns = jnp.where(is_pivot, pivot[:, None], columns - pivot[:, None] * multiples)
        # What remains in this row of a free column is rounding error.
        pivots = jnp.where(is_pivot, row, pivots)
        return columns.at[row].set(jnp.where(pivots < 0, 0, columns[row])), pivots

    start = jnp.concatenate([rows, jnp.eye(width, dtype=rows.dtype)]), jnp.full(width, -1)
    columns, pivots = jax.lax.fori_loop(0, height, eliminate, start)
    return columns[:height], columns[height:], pivots


def _require_square(names: str, *matrices: Array) -> None:
    shapes = [np.shape(matrix) for matrix in matrices]
    if any(s != shapes[0] or len(s) != 2 or s[0] != s[1] for s in shapes):
        message = f"{names} must be square (m, m); got {', '.join(map(str, shapes))}"
        raise InputError(message)
