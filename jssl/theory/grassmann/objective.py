"""The losses as quadratic forms: of a linear encoder, and of any function on the sample.

    contrastive        L = (1/n) sum_i f(x_i) . (f(x_i^-) - f(x_i^+))
    non-contrastive    L = -(1/n) sum_i f(x_i) . f(x_i^+)

    f = W^T x          L = Tr(W^T C W),  C = sym(sum_i x_i (x_i^- - x_i^+)^T) / n, or
                                         C = -sum_i sym(x_i x_i^{+T}) / n
    any f, F (dim, N)  L = Tr(F M F^T),  M = +-1/(2n) between anchors and negatives (+),
                                         anchors and positives (-)
    f = W^T Phi        K^{1/2} M K^{1/2} takes the place of C, K = Phi^T Phi

Esser, Mukherjee, Ghoshdastidar 2023, arXiv 2309.02011, section 3. The losses themselves are
`jssl.losses.linear_contrastive` and `linear_non_contrastive`.
"""

import functools

import jax
import jax.numpy as jnp

from jssl.arithmetic import working
from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.types import Array, Pairs


def objective_matrix(pairs: Pairs) -> Array:
    """Return C with L = Tr(W^T C W) for the linear encoder x -> W^T x.

    Example:
        >>> print(objective_matrix(Pairs(jnp.eye(2), jnp.eye(2))) + 0)
        [[-0.5  0. ]
         [ 0.  -0.5]]

    Args:
        pairs: views (n, d); the contrastive objective where `negative` is there, (n, d), the
            non-contrastive one where it is None.

    Returns:
        (d, d) symmetric; descent converges to the eigenvectors of its smallest eigenvalues.

    Raises:
        InputError: for views that are not (n, d) arrays of one shape.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 3.
    """
    shapes = {view.shape for view in pairs if view is not None}
    if len(shapes) > 1 or pairs.first.ndim != 2:
        message = f"views of a linear encoder must be (n, d) and of one shape; got {sorted(shapes)}"
        raise InputError(message)
    given = {k: view for k, view in pairs._asdict().items() if view is not None}
    pairs = Pairs(**dict(zip(given, working(**given), strict=True)))
    target = -pairs.second if pairs.negative is None else pairs.negative - pairs.second
    cross = pairs.first.T @ target / pairs.first.shape[0]
    return (cross + cross.T) / 2


def pairing_matrix(n: int, *, negatives: bool = False) -> Array:
    """Return M with L = Tr(F M F^T) for F (dim, N), on the sample in the order of `stack_views`.

    Example:
        >>> print(pairing_matrix(1))
        [[ 0.  -0.5]
         [-0.5  0. ]]

    Args:
        n: number of pairs, at least 1.
        negatives: the contrastive objective (N = 3n), or the non-contrastive one (N = 2n).

    Returns:
        (N, N) symmetric.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 3.
    """
    n = require_count("n", n)
    links = jnp.array([[0, -1, 1], [-1, 0, 0], [1, 0, 0]] if negatives else [[0, -1], [-1, 0]])
    return jnp.kron(links, jnp.eye(n)) / (2 * n)


def stack_views(pairs: Pairs) -> Array:
    """Return anchors, positives and, where there are any, negatives as one sample (N, ...).

    Example:
        >>> print(stack_views(Pairs(jnp.zeros((2, 5)), jnp.ones((2, 5)))).shape)
        (4, 5)
    """
    return jnp.concatenate([view for view in pairs if view is not None])


def kernel_objective(kernel: Array, pairing: Array) -> Array:
    """Return K^{1/2} M K^{1/2}, the C of a function that is linear in features with kernel K.

    Example:
        >>> print(kernel_objective(jnp.diag(jnp.array([4.0, 9.0])), pairing_matrix(1)).round(4))
        [[ 0. -3.]
         [-3.  0.]]

    Its eigenvalues are those of M K.

    Args:
        kernel: (N, N) positive semi-definite.
        pairing: (N, N) symmetric.

    References:
        Esser et al. 2023, arXiv 2309.02011, section 4.
    """
    root = kernel_root(kernel)
    product = root @ pairing @ root
    return (product + product.T) / 2


@functools.partial(jax.jit, static_argnames="inverse")
def kernel_root(kernel: Array, *, inverse: bool = False) -> Array:
    """Return K^{1/2}, or the inverse root on the range of K.

    Example:
        >>> print(kernel_root(jnp.diag(jnp.array([4.0, 0.0])), inverse=True))
        [[0.5 0. ]
         [0.  0. ]]

    Args:
        kernel: (N, N) positive semi-definite; eigenvalues below N eps of the largest count as 0.
        inverse: return K^{-1/2}.
    """
    eigenvalues, eigenvectors = jnp.linalg.eigh(kernel)
    inside = eigenvalues > kernel.shape[-1] * jnp.finfo(kernel.dtype).eps * eigenvalues[-1]
    roots = jnp.sqrt(jnp.where(inside, eigenvalues, 1))
    scales = jnp.where(inside, 1 / roots if inverse else roots, 0)
    return (eigenvectors * scales) @ eigenvectors.T
