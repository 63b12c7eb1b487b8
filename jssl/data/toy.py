"""Toy data with known moments: Gaussian pairs, exact pairs, mixtures, four cells.

    latent-variable pairs   x = s + e,  x' = s + e',  s ~ N(0, A),  e, e' ~ N(0, C)
    exact pairs             (1/2n) sum_i (x_i x'_i^T + x'_i x_i^T) = V diag(gamma) V^T
    four cells              x = s e1 + q tau e2 + rho xi,  s = +-1, q in {0, 1}

A covariance is a number, a 1-d spectrum (diagonal) or a matrix (d, d), singular ones included.
Draws have the dtype of their arguments.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_name, require_range
from jssl.data.pairs import PLACEMENTS
from jssl.data.reduced import from_modes
from jssl.errors import InputError
from jssl.host_arithmetic import host_value
from jssl.types import Array, Pairs


def gaussian(key: Array, n: int, spectrum: Any, *, rotation: Array | None = None) -> Array:
    """Draw n centred Gaussian samples with covariance R diag(spectrum) R^T.

    Example:
        >>> gaussian(jax.random.key(0), 5, [2.0, 1.0, 0.5]).shape
        (5, 3)

    Args:
        key: typed key.
        n: number of samples, static.
        spectrum: (d,) variances, >= 0.
        rotation: (d, d) orthogonal R (`jax.random.orthogonal` draws one); None for the identity.

    Returns:
        (n, d).

    Raises:
        InputError: for another shape or a negative variance.
    """
    spectrum = _floating(spectrum)
    colour, dim = _colouring("spectrum", spectrum)
    if spectrum.ndim != 1 or (rotation is not None and np.shape(rotation) != (dim, dim)):
        message = f"give a spectrum (d,) and a rotation (d, d); got {spectrum.shape} and " + (
            "none" if rotation is None else f"{np.shape(rotation)}"
        )
        raise InputError(message)
    x = colour(_normal(key, n, dim, spectrum.dtype))
    return x if rotation is None else jnp.matmul(x, jnp.transpose(rotation), precision="highest")


def gaussian_pairs(
    key: Array,
    n: int,
    data_covariance: Any,
    augmentation_covariance: Any,
    *,
    placement: str = "both",
    noise_correlation: Any = 0.0,
) -> Pairs:
    """Draw pairs of augmented views x = s + e, x' = s + e' of latent Gaussian samples s.

    Example:
        >>> pairs = gaussian_pairs(jax.random.key(0), 5, [2.0, 1.0], [0.0, 0.5])
        >>> bool(jnp.allclose(pairs.first[:, 0], pairs.second[:, 0]))
        True

    With A the data and C the augmentation covariance and r the noise correlation, E[e e'^T] = r C,
    so E Gamma = A + r C (placement "both") or A ("second": x = s). The samples s do not depend on
    the placement or the correlation: runs that differ in them are paired.

    Args:
        key: typed key.
        n: number of pairs, static.
        data_covariance: A: (d,) spectrum or (d, d); may be traced.
        augmentation_covariance: C: number, (d,) or (d, d); may be traced.
        placement: "both" views are augmented, or only the "second" (a clean anchor).
        noise_correlation: r in [-1, 1]; 0 draws the views' noise independently, 1 makes the views
            equal. Needs placement "both"; may be traced.

    Returns:
        Pairs of (n, d).

    Raises:
        InputError: for shapes that do not match, variances or r out of range, an unknown placement.

    References:
        Jing et al. 2022, arXiv 2110.09348 (augmentation covariance); Meng and Wang 2024, arXiv
        2406.06909 (correlated view noise).
    """
    require_name("placement", placement, PLACEMENTS)
    require_range("noise_correlation", noise_correlation, -1, 1)
    data = _floating(data_covariance)
    colour_data, dim = _colouring("data_covariance", data)
    colour_noise, _ = _colouring("augmentation_covariance", _floating(augmentation_covariance), dim)
    data_key, *noise_keys = jax.random.split(key, 3)
    clean = colour_data(_normal(data_key, n, dim, data.dtype))
    own, other = (colour_noise(_normal(k, n, dim, data.dtype)) for k in noise_keys)
    if placement == "second":
        if host_value(noise_correlation) != 0:
            message = "noise_correlation needs placement='both'; only one view has noise here"
            raise InputError(message)
        return Pairs(clean, clean + other)
    correlation = jnp.asarray(noise_correlation, data.dtype)
    shared = correlation * own + jnp.sqrt(1 - correlation**2) * other
    return Pairs(clean + own, clean + shared)


def pairs_with_cross_moment(
    spectrum: Any, n: int | None = None, *, key: Array | None = None
) -> Pairs:
    """Return pairs whose Gamma has exactly the given eigenvalues, negative ones included.

    Example:
        >>> from jssl.data.pairs import cross_moment
        >>> pairs = pairs_with_cross_moment([1.0, 0.5, -0.25])
        >>> bool(jnp.allclose(cross_moment(pairs), jnp.diag(jnp.array([1.0, 0.5, -0.25]))))
        True

    X = sqrt(n) Q |G|^{1/2} V^T and X' = sqrt(n) Q sign(G) |G|^{1/2} V^T with V orthogonal and Q of
    orthonormal columns, so Gamma = V diag(spectrum) V^T up to rounding, for any V and Q.

    Args:
        spectrum: (m,) eigenvalues of Gamma, of any sign and order; may be traced.
        n: number of pairs, >= m, static; None for max(m, 2).
        key: typed key that draws V and Q; None for identities, whose pairs beyond m are zero.

    Returns:
        Pairs of (n, m).

    Raises:
        InputError: for a spectrum that is not 1-d or n < m.
    """
    spectrum = _floating(spectrum)
    if spectrum.ndim != 1 or not spectrum.size:
        message = f"spectrum must be 1-d, the eigenvalues of Gamma; got shape {spectrum.shape}"
        raise InputError(message)
    dim = spectrum.size
    n = require_count("n", max(dim, 2) if n is None else n, low=dim)
    if key is None:
        return from_modes(spectrum, jnp.eye(dim, dtype=spectrum.dtype), jnp.eye(n, dim))
    vector_key, mixing_key = jax.random.split(key)
    vectors = jax.random.orthogonal(vector_key, dim, dtype=spectrum.dtype)
    mixing = jax.random.orthogonal(mixing_key, n, m=dim, dtype=spectrum.dtype)
    return from_modes(spectrum, vectors, mixing)


def mixture(
    key: Array, n: int, means: Any, covariance: Any = 1.0, weights: Any = None
) -> tuple[Array, Array]:
    """Draw from a Gaussian mixture whose components share a covariance.

    Example:
        >>> x, labels = mixture(jax.random.key(0), 6, [[5.0, 0.0], [-5.0, 0.0]], 0.01)
        >>> bool(((x[:, 0] > 0) == (labels == 0)).all())
        True

    Args:
        key: typed key.
        n: number of samples, static.
        means: (k, d) component means.
        covariance: within-component covariance: a number (variance), (d,) or (d, d).
        weights: (k,) probabilities, >= 0, normalised to sum 1; None for equal ones.

    Returns:
        x (n, d) and the components (n,), int32 in 0 ... k-1.

    Raises:
        InputError: for shapes that do not match or negative variances or weights.
    """
    means = _floating(means)
    if means.ndim != 2 or not means.size:
        message = f"means must be (components, features); got shape {means.shape}"
        raise InputError(message)
    weights = jnp.ones(len(means)) if weights is None else _floating(weights)
    if weights.shape != (len(means),):
        message = f"weights must have one entry a component, ({len(means)},); got {weights.shape}"
        raise InputError(message)
    require_range("weights", weights, 0)
    colour, dim = _colouring("covariance", _floating(covariance), means.shape[1])
    label_key, noise_key = jax.random.split(key)
    labels = jax.random.categorical(label_key, jnp.log(weights), shape=(n,)).astype(jnp.int32)
    return means[labels] + colour(_normal(noise_key, n, dim, means.dtype)), labels


def four_cells(key: Array, n: int, dim: int, tau: Any, rho: Any) -> tuple[Array, Array, Array]:
    """Draw x = s e1 + q tau e2 + rho xi, with a label-related feature e1 and a hidden one, e2.

    Example:
        >>> x, label, hidden = four_cells(jax.random.key(0), 100, 10, tau=7.0, rho=10**-1.5)
        >>> x.shape, bool((jnp.sign(x[:, 0]) == label).all())
        ((100, 10), True)

    The four cells (s, q) have probability 1/4 each, and xi ~ N(0, I_dim).

    Args:
        key: typed key.
        n: number of samples, at least the number of cells, 4, static.
        dim: number of features, >= 2, static.
        tau: strength of the hidden feature (base case 7); may be traced.
        rho: noise standard deviation, >= 0 (base case dim^-1.5); may be traced.

    Returns:
        x (n, dim), label s (n,) int32 of -1 and 1, hidden q (n,) int32 of 0 and 1.

    Raises:
        InputError: for n < 4, dim < 2 or a negative rho.

    References:
        Yang et al. 2023, arXiv 2401.03214: dim = 10, n = dim^2, tau = 7, rho = dim^-1.5.
    """
    n = require_count("n (of four cells)", n, low=4)
    dim = require_count("dim", dim, low=2)
    require_range("rho", rho, 0)
    label_key, hidden_key, noise_key = jax.random.split(key, 3)
    label = 2 * jax.random.bernoulli(label_key, shape=(n,)).astype(jnp.int32) - 1
    hidden = jax.random.bernoulli(hidden_key, shape=(n,)).astype(jnp.int32)
    x = rho * _normal(noise_key, n, dim, jnp.result_type(tau, rho, 0.0))
    return x.at[:, 0].add(label).at[:, 1].add(tau * hidden), label, hidden


def _floating(x: Any) -> Array:
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)


def _normal(key: Array, n: int, dim: int, dtype: Any) -> Array:
    return jax.random.normal(key, (require_count("n", n), dim), dtype)


def _colouring(
    name: str, covariance: Array, dim: int | None = None
) -> tuple[Callable[[Array], Array], int]:
    """Return the map from white rows to rows of this covariance, and the dimension."""
    if dim is None:
        dim = covariance.size if covariance.ndim == 1 else len(jnp.atleast_1d(covariance))
    if covariance.shape not in ((), (dim,), (dim, dim)):
        message = f"{name} must be a number, ({dim},) or ({dim}, {dim}); got {covariance.shape}"
        raise InputError(message)
    if covariance.ndim < 2:
        require_range(name, covariance, 0)
        return lambda white: white * jnp.sqrt(covariance).astype(white.dtype), dim
    variances, axes = jnp.linalg.eigh(covariance)
    rounding = dim * jnp.finfo(covariance.dtype).eps * jnp.max(jnp.abs(variances))
    require_range(f"{name} + rounding", variances + rounding, 0)
    root = axes * jnp.sqrt(jnp.maximum(variances, 0))
    return lambda white: jnp.matmul(white, root.T.astype(white.dtype), precision="highest"), dim
