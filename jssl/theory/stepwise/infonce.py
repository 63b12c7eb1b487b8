r"""InfoNCE without normalisation, near zero: a cumulant expansion and the rates it implies.

    L = mean_i [-s_ii + log sum_j e^{s_ij}],    s_ij = z_i . z'_j / temperature

with all n second views as candidates, the positive among them. For views centred by their own
means the cumulants of row i over j give, with C = (Z^T Z' + Z'^T Z) / 2n, C_0 = Z^T Z / n and
C_1 = Z'^T Z' / n,

    L = log n - tr C / temperature + tr(C_0 C_1) / (2 temperature^2) + O(||z||^6 / temperature^3).

By the first term, a small linear embedding z = W x grows along the top eigenvectors of Gamma, the
cross moment of the centred views, as under linearised Barlow Twins:

    d log ||W v_j||^2 / dt = 4 gamma_j / temperature                            gradient flow
                           = (2 / lr) log |1 + 2 lr gamma_j / temperature|      descent, step lr

up to relative corrections of size ||z||^2 / temperature. t = learning rate x step. Derived here,
after Simon et al., ICML 2023, arXiv 2303.15438; loss of van den Oord et al., arXiv 1807.03748.
"""

import math

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array


def infonce_expansion(first: Array, second: Array, *, temperature: Array | float) -> Array:
    """Return InfoNCE to fourth order in small embeddings, each view centred by its own mean.

    Example:
        >>> z = jnp.array([[0.1], [-0.1]])
        >>> exact = jnp.log(2 * jnp.cosh(0.01)) - 0.01
        >>> bool(abs(infonce_expansion(z, z, temperature=1.0) - exact) < 1e-6)
        True

    log n - tr C / temperature + tr(C_0 C_1) / (2 temperature^2). Centring the second view leaves
    InfoNCE as it is; centring the first changes it, so compare with the loss of centred embeddings.

    Args:
        first: (n, d) embeddings of the first views.
        second: (n, d) embeddings of the second views.
        temperature: > 0.

    Returns:
        The scalar expansion.

    Raises:
        InputError: if the embeddings differ in shape or temperature is not positive.
    """
    _require_positive(temperature)
    if np.ndim(first) != 2 or np.shape(first) != np.shape(second):
        shapes = f"{np.shape(first)} and {np.shape(second)}"
        message = f"both embeddings must be (n, d) of one shape; got {shapes}"
        raise InputError(message)
    n = len(first)
    za, zb = first - first.mean(0), second - second.mean(0)
    agreement = (za * zb).sum() / n
    covariances = [jnp.matmul(z.T, z, precision="highest") / n for z in (za, zb)]
    spread = (covariances[0] * covariances[1]).sum()
    return math.log(n) - agreement / temperature + spread / (2 * temperature**2)


def infonce_growth(
    eigenvalues: Array, *, temperature: Array | float, learning_rate: Array | float = 0.0
) -> Array:
    """Return d log ||W v_j||^2 / dt of a small linear embedding.

    Example:
        >>> infonce_growth(jnp.array([1.0, -0.5]), temperature=0.5).tolist()
        [8.0, -4.0]
        >>> infonce_growth(jnp.array([1.0]), temperature=0.5, learning_rate=0.25).round(4).tolist()
        [5.54...]

    4 gamma / temperature for the flow. One step of descent multiplies W v_j by
    1 + 2 lr gamma_j / temperature, so the rate per unit of t = lr x step is
    (2 / lr) log |1 + 2 lr gamma_j / temperature|, which is less.

    Args:
        eigenvalues: (...) of the cross moment of the centred views, of any sign.
        temperature: > 0.
        learning_rate: step lr >= 0 of gradient descent; 0 for the flow.

    Returns:
        (...) rates.

    Raises:
        InputError: if temperature is not positive or learning_rate is negative.
    """
    _require_positive(temperature)
    require_range("learning_rate", learning_rate, 0)
    flow = 4 * eigenvalues / temperature
    gain = learning_rate * flow / 2
    small = jnp.abs(gain) < 1e-4
    series = 1 - gain / 2 + gain**2 / 3 - gain**3 / 4
    safe = jnp.where(small, 1.0, gain)
    beyond = safe < -0.5
    logarithm = jnp.where(beyond, jnp.log(jnp.abs(1 + safe)), jnp.log1p(jnp.where(beyond, 0, safe)))
    return flow * jnp.where(small, series, logarithm / safe)


def _require_positive(temperature: Array | float) -> None:
    known = host_value(temperature)
    if known is not None and not (known > 0).all():
        message = f"temperature must be positive; got {temperature}"
        raise InputError(message)
