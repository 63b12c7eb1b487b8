"""Stepwise learning in function space: the embedding at any time and any unseen point.

    dF/dt = -(2/n) K J F (C - I),   C = F^T J F / 2n,   df(x)/dt = -(2/n) k(x, Z) J F (C - I)

is the linear model with Gamma -> K_Gamma = (1/2n) K^{1/2} J K^{1/2}, so from a small start

    f_t(x) = sum_j u_j s_j(t) k(x, Z) c_j + f_0(x) - k(x, Z) K^{-1} F_0

    F (2n, dim)          embeddings of the n first views, then of the n second views
    K (2n, 2n)           gram             k(Z, Z): the tangent kernel of the encoder
    J                    exchanges the two views; another symmetric pairing A may replace J / 2n
    gamma_j, c_j         modes            J K c = 2n gamma c, c^T K c = 1
    u_j, s_j(0)          Q and R of F_0^T [c_1 ... c_dim]
    k(x, Z) (q, 2n)      cross            kernel of the queries with the views

The eigenvectors of K_Gamma are v_j = K^{1/2} c_j, so that K^{-1/2} v_j = c_j and no square root is
needed. Two networks (multimodal) are `jax.scipy.linalg.block_diag(gram_a, gram_b)`, with a cross
that is zero on the other network's views. F = 0 is a stationary point.

Simon et al. 2023, arXiv 2303.15438, section 5; the dynamics in function space are derived here.
"""

import jax.numpy as jnp

from jssl.errors import InputError
from jssl.kernels.contrastive import ContrastiveModes
from jssl.theory.stepwise.close import tie_rotation
from jssl.theory.stepwise.generic import Alignment, qr_alignment
from jssl.theory.stepwise.linear import scales
from jssl.types import Array


def align_embedding(start_embedding: Array, modes: ContrastiveModes) -> Alignment:
    """Return the aligned start that a small start of a kernel model follows.

    Example:
        >>> from jssl.kernels.contrastive import contrastive_modes
        >>> start = jnp.array([[1e-3, 0.0], [0.0, 2e-3], [1e-3, 0.0], [0.0, 2e-3]])
        >>> top = contrastive_modes(jnp.diag(jnp.array([2.0, 1.0, 2.0, 1.0])), 2)
        >>> scales = align_embedding(start, top).start_scales
        >>> [round(1e3 * x, 3) for x in scales.tolist()]
        [1.0, 2.828]

    Args:
        start_embedding: (2n, dim) F_0, first views then second views.
        modes: the top k <= dim modes of the contrastive kernel.

    Returns:
        Alignment(rotation (dim, k), start_scales (k,)), for `scales`, `critical_time` and
        `loss_staircase` with the modes' eigenvalues.

    Raises:
        InputError: for shapes that do not fit.

    References:
        Simon et al. 2023, arXiv 2303.15438, result 4.6, carried over to section 5.
    """
    rows, dim = start_embedding.shape
    if modes.coefficients.shape[0] != rows or modes.coefficients.shape[1] > dim:
        message = (
            f"start_embedding {start_embedding.shape} needs modes with coefficients "
            f"({rows}, at most {dim}); got {modes.coefficients.shape}"
        )
        raise InputError(message)
    return qr_alignment(_product(start_embedding.T, modes.coefficients))


def adapt_coefficients(start_embedding: Array, modes: ContrastiveModes) -> ContrastiveModes:
    """Return modes along which a start is aligned where eigenvalues are equal.

    Example:
        >>> from jssl.kernels.contrastive import contrastive_modes
        >>> start = 1e-3 * jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> top = contrastive_modes(jnp.tile(jnp.eye(2), (2, 2)), 2)
        >>> scales = align_embedding(start, adapt_coefficients(start, top)).start_scales
        >>> [round(1e3 * x, 3) for x in scales.tolist()]
        [1.618, 0.618]

    `jssl.theory.stepwise.adapt_modes` for a kernel: exact where eigenvalues are equal up to
    rounding, provided that all of the equal ones are among the given.

    Args:
        start_embedding: (2n, dim) F_0.
        modes: the top k <= dim modes.

    Returns:
        The same modes with other coefficients in every block of equal eigenvalues.
    """
    projection = _product(start_embedding.T, modes.coefficients)
    turn = tie_rotation(projection, modes.eigenvalues)
    return modes._replace(coefficients=_product(modes.coefficients, turn))


def embedding(
    t: Array,
    modes: ContrastiveModes,
    gram: Array,
    start_embedding: Array,
    cross: Array | None = None,
    start_cross: Array | None = None,
) -> Array:
    """Return f_t at the training views, or at unseen points, at any time.

    Example:
        >>> import jax
        >>> from jssl.kernels.contrastive import contrastive_modes
        >>> x = jax.random.normal(jax.random.key(0), (8, 5))
        >>> gram = x @ x.T
        >>> z = embedding(1e3, contrastive_modes(gram, 2), gram, 1e-3 * x[:, :2])
        >>> za, zb = z[:4], z[4:]
        >>> bool(jnp.allclose((za.T @ zb + zb.T @ za) / 8, jnp.eye(2), atol=1e-2))
        True

    f_t(x) = sum_j u_j s_j(t) k(x, Z) c_j + f_0(x) - k(x, Z) K^{-1} F_0. Exact from an aligned
    start; from a generic one with the error that `error_estimate` gives. The part of the start in
    the span of k(., Z) outside the top modes is neglected; the part outside that span is constant.

    Args:
        t: (...) times >= 0, the sum of learning rates on the linearised Barlow Twins loss.
        modes: the top k <= dim modes, from `jssl.kernels.contrastive.contrastive_modes`.
        gram: (2n, 2n) K; may be singular.
        start_embedding: (2n, dim) F_0.
        cross: (q, 2n) k(x, Z); None for the training views.
        start_cross: (q, dim) f_0(x); None for a start in the span of k(., Z), such as that of a
            model linear in its parameters.

    Returns:
        (..., q, dim).

    Raises:
        InputError: for shapes that do not fit.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 5.
    """
    modes = adapt_coefficients(start_embedding, modes)
    rotation, start_scales = align_embedding(start_embedding, modes)
    at_views = cross is None
    cross = gram if cross is None else cross
    if gram.shape != (len(start_embedding),) * 2 or cross.shape[-1:] != gram.shape[-1:]:
        message = (
            f"gram {gram.shape} and cross {cross.shape} must have a column for each of the "
            f"{len(start_embedding)} rows of start_embedding"
        )
        raise InputError(message)
    directions = scales(t, start_scales, modes.eigenvalues)[..., None] * rotation.T
    learned = _product(_product(cross, modes.coefficients), directions)
    start = start_embedding if at_views else start_cross
    return learned if start is None else learned + outside_span(gram, start_embedding, cross, start)


def outside_span(gram: Array, start_embedding: Array, cross: Array, start_cross: Array) -> Array:
    """Return f_0(x) - k(x, Z) K^+ F_0, the part of the start that training never touches.

    Example:
        >>> outside_span(jnp.eye(2), jnp.ones((2, 1)), jnp.zeros((1, 2)), jnp.ones((1, 1))).tolist()
        [[1.0]]

    Args:
        gram: (2n, 2n) K; directions below its rounding error count as null.
        start_embedding: (2n, dim) F_0.
        cross: (q, 2n) k(x, Z).
        start_cross: (q, dim) f_0(x).

    Returns:
        (q, dim).
    """
    values, vectors = jnp.linalg.eigh(gram)
    kept = values > values[-1] * len(values) * jnp.finfo(values.dtype).eps
    inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
    dual = _product(vectors * inverse, _product(vectors.T, start_embedding))
    return start_cross - _product(cross, dual)


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
