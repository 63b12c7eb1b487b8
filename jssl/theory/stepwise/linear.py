"""The linear encoder of linearised Barlow Twins, solved exactly from an aligned start.

    L = ||C - I||_F^2,   C = W Gamma W^T,   dW/dt = -4 (C - I) W Gamma

    W(0) = U diag(s_j(0)) V  implies  W(t) = U diag(s_j(t)) V  with
    s_j(t)^2 = 1 / (g + (s_j(0)^-2 - g) e^{-8 g t}),   g = gamma_j

    loss             L                    scales            s_j(t), of any sign of g
    velocity         dW/dt                mode_eigenvalues  g s_j^2, the eigenvalues of C
    modes            g and V              loss_staircase    sum_j (1 - g s_j^2)^2
    weight           W(t)                 final_scales      s_j at t = infinity
                                          final_weight      W at t = infinity

Simon et al. 2023, arXiv 2303.15438, section 4, propositions 4.1 and 4.3. The
letters are mapped to words in the docstring of `jssl.theory.stepwise`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array


class Modes(NamedTuple):
    """The top eigenpairs of a cross moment, most positive first.

    Attributes:
        eigenvalues: (..., k) descending, of any sign.
        eigenvectors: (..., k, m) orthonormal, a row per mode.
    """

    eigenvalues: Array
    eigenvectors: Array


@jax.custom_jvp
def loss(weight: Array, cross_moment: Array) -> Array:
    """Return ||W Gamma W^T - I||_F^2, the linearised Barlow Twins loss at lambda = 1.

    Its derivative makes use of the symmetry of Gamma, so that a gradient needs one product with
    Gamma instead of two, and a step takes half the time.

    Example:
        >>> loss(jnp.zeros((3, 5)), jnp.eye(5)).item()
        3.0

    Args:
        weight: (..., dim, m).
        cross_moment: (..., m, m) symmetric.

    Returns:
        (...) losses.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return jnp.square(_defect(weight, cross_moment)).sum((-2, -1))


loss.defjvps(
    lambda change, _, weight, cross_moment: -_inner(velocity(weight, cross_moment), change),
    lambda change, _, weight, cross_moment: (
        2 * _inner(_product(_product(weight.mT, _defect(weight, cross_moment)), weight), change)
    ),
)


def velocity(weight: Array, cross_moment: Array) -> Array:
    """Return dW/dt = -4 (W Gamma W^T - I) W Gamma, minus the gradient of `loss`.

    Example:
        >>> velocity(jnp.array([[0.5]]), jnp.array([[1.0]])).item()
        1.5

    Args:
        weight: (..., dim, m).
        cross_moment: (..., m, m) symmetric.

    Returns:
        (..., dim, m); one step of gradient descent adds learning rate x this.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return -4 * _product(_defect(weight, cross_moment), _product(weight, cross_moment))


def modes(cross_moment: Array, dim: int | None = None) -> Modes:
    """Return the top eigenpairs of a symmetric cross moment.

    Example:
        >>> modes(jnp.diag(jnp.array([-1.0, 3.0, 2.0])), dim=2).eigenvalues.tolist()
        [3.0, 2.0]

    Args:
        cross_moment: (..., m, m) symmetric, eigenvalues of any sign.
        dim: number of modes kept, at most m, static; None for all m.

    Returns:
        Modes in descending order of the signed eigenvalue, since only positive ones are learned.
        Eigenvalues up to m eps times the largest in size are 0: their sign is that of rounding.

    Raises:
        InputError: for a matrix that is not square, not finite or not symmetric (values are
            checked outside jit), or a dim outside [1, m].
    """
    shape = np.shape(cross_moment)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        message = f"cross_moment must be a square matrix (m, m); got shape {shape}"
        raise InputError(message)
    dim = shape[-1] if dim is None else require_count("dim", dim, high=shape[-1])
    _require_symmetric(host_value(cross_moment))
    eigenvalues, columns = jnp.linalg.eigh(cross_moment)
    rounding = shape[-1] * jnp.finfo(eigenvalues.dtype).eps
    none = jnp.abs(eigenvalues) <= rounding * jnp.abs(eigenvalues).max(-1, keepdims=True)
    eigenvalues -= jax.lax.stop_gradient(jnp.where(none, eigenvalues, 0))
    return Modes(eigenvalues[..., ::-1][..., :dim], columns.mT[..., ::-1, :][..., :dim, :])


def scales(t: Array, start_scales: Array, eigenvalues: Array) -> Array:
    """Return s_j(t), the exact scale of each mode at each time.

    Example:
        >>> t = jnp.array([0.0, 1e30])
        >>> s = scales(t, jnp.array([0.1, 0.1, 0.1]), jnp.array([4.0, 0.0, -1.0]))
        >>> [round(x, 3) for x in s[1].tolist()]
        [0.5, 0.1, 0.0]

    s^2 = 1 / (g + (s_0^-2 - g) e^{-8gt}) for g > 0 and s^2 = e^{8gt} / (s_0^-2 + g (e^{8gt} - 1))
    for g <= 0; no exponent is ever positive, so nothing overflows at any t and gradients with
    respect to all three arguments are finite. The limits are g^{-1/2}, s_0 (g = 0) and 0 (g < 0).
    A scale of zero is a stationary point.

    Args:
        t: (...) finite times >= 0, learning rate x step.
        start_scales: (k,) scales at time 0, >= 0; s_0^2 must not underflow.
        eigenvalues: (k,) of the cross moment, of any sign.

    Returns:
        (..., k).

    References:
        Simon et al. 2023, arXiv 2303.15438, proposition 4.1.
    """
    t, grows = jnp.asarray(t)[..., None], eigenvalues > 0
    exponent = 8 * eigenvalues * t * jnp.where(grows, -1, 1)
    decay = jnp.exp(exponent)
    gained = start_scales**2 * jnp.abs(eigenvalues) * -jnp.expm1(exponent)
    size = jnp.where(grows, decay, 1) + gained
    # A start of exactly zero leaves size = 0 once the decay has underflowed.
    size = jnp.maximum(size, jnp.finfo(size.dtype).tiny)
    return start_scales * jnp.where(grows, 1, jnp.exp(exponent / 2)) / jnp.sqrt(size)


def mode_eigenvalues(t: Array, start_scales: Array, eigenvalues: Array) -> Array:
    """Return g s_j(t)^2, the eigenvalues of the embedding's cross moment C.

    Example:
        >>> mode_eigenvalues(jnp.array(100.0), jnp.array([0.1]), jnp.array([4.0])).tolist()
        [1.0]

    Close to the sigmoid 1 / (1 + e^{-8 g (t - tau_j)}) about the critical time tau_j.

    Args:
        t: (...) times >= 0.
        start_scales: (k,) scales at time 0.
        eigenvalues: (k,) of the cross moment.

    Returns:
        (..., k) in the order of the modes.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return eigenvalues * jnp.square(scales(t, start_scales, eigenvalues))


def loss_staircase(t: Array, start_scales: Array, eigenvalues: Array) -> Array:
    """Return L(t) = sum_j (1 - g s_j^2)^2: from k down to the number of modes never learned.

    Example:
        >>> start, eigenvalues = jnp.full(3, 1e-3), jnp.array([1.0, 0.1, -1.0])
        >>> losses = loss_staircase(jnp.array([0.0, 5.0, 100.0]), start, eigenvalues)
        >>> [round(x, 3) for x in losses.tolist()]
        [3.0, 2.0, 1.0]

    Args:
        t: (...) times >= 0.
        start_scales: (k,) scales at time 0.
        eigenvalues: (k,) of the cross moment.

    Returns:
        (...) losses of an encoder of k dimensions; each dimension beyond the m of the data adds 1.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    return jnp.square(1 - mode_eigenvalues(t, start_scales, eigenvalues)).sum(-1)


def weight(t: Array, start_scales: Array, modes: Modes, rotation: Array | None = None) -> Array:
    """Return W(t) = U diag(s_j(t)) V, the exact solution from the aligned start W(0).

    Example:
        >>> top = modes(jnp.diag(jnp.array([4.0, 1.0, 0.5])), dim=2)
        >>> bool(jnp.allclose(abs(weight(50.0, jnp.full(2, 0.01), top)), jnp.eye(2, 3) / (
        ...     jnp.array([[2.0], [1.0]]))))
        True

    Args:
        t: (...) times >= 0.
        start_scales: (k,) scales at time 0.
        modes: k modes of the cross moment, eigenvectors (k, m).
        rotation: (dim, k) orthonormal columns; None for the identity.

    Returns:
        (..., dim, m).

    References:
        Simon et al. 2023, arXiv 2303.15438, proposition 4.1.
    """
    return _compose(scales(t, start_scales, modes.eigenvalues), modes, rotation)


def final_scales(eigenvalues: Array) -> Array:
    """Return the limit of every scale: g^{-1/2} where g > 0, else 0.

    Example:
        >>> final_scales(jnp.array([4.0, -1.0])).tolist()
        [0.5, 0.0]

    A mode with g = 0 keeps its initial scale, which is 0 in this limit of small starts.
    """
    positive = eigenvalues > 0
    return jnp.where(positive, jnp.where(positive, eigenvalues, 1) ** -0.5, 0)


def final_weight(modes: Modes, rotation: Array | None = None) -> Array:
    """Return W(infinity) = U diag(g^{-1/2}) V, the final weight from every small start.

    Example:
        >>> top = modes(jnp.diag(jnp.array([4.0, 1.0, 0.5])), dim=2)
        >>> round(float((final_weight(top) ** 2).sum()), 6)  # 1/4 + 1/1
        1.25

    Of all weights with loss 0 it has the least Frobenius norm, sum_{j <= dim} 1/gamma_j. If
    fewer than dim modes are positive, only these are learned, and the final loss is the number of
    the others.

    Args:
        modes: the top dim modes of the cross moment.
        rotation: (dim, k) orthonormal columns; None for the identity.

    Returns:
        (dim, m).

    References:
        Simon et al. 2023, arXiv 2303.15438, proposition 4.3.
    """
    return _compose(final_scales(modes.eigenvalues), modes, rotation)


def _compose(scales: Array, modes: Modes, rotation: Array | None) -> Array:
    scaled = scales[..., None] * modes.eigenvectors
    return scaled if rotation is None else _product(rotation, scaled)


def _defect(weight: Array, cross_moment: Array) -> Array:
    c = _product(_product(weight, cross_moment), weight.mT)
    return c - jnp.eye(weight.shape[-2], dtype=c.dtype)


def _inner(a: Array, b: Array) -> Array:
    return (a * b).sum((-2, -1))


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")


def _require_symmetric(value: np.ndarray | None) -> None:
    if value is None:
        return
    if not np.isfinite(value).all():
        message = "cross_moment contains NaN or infinity; check the pairs it was computed from"
        raise InputError(message)
    largest, asymmetry = np.abs(value).max(), np.abs(value - np.swapaxes(value, -1, -2)).max()
    if asymmetry > 1e-4 * largest:
        message = (
            "cross_moment must be symmetric; it differs from its transpose by "
            f"{asymmetry:.1e}, use (M + M.T) / 2"
        )
        raise InputError(message)
