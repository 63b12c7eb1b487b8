"""Positive pairs, samplers of them, and their cross moment.

A sampler is a pure function `sampler(key) -> Pairs`, the first field of a Problem. A linear model
under a loss of C = W Gamma W^T depends on its data through the symmetric matrix only,

    Gamma = (1/2n) sum_i (x_i x'_i^T + x'_i x_i^T),

whose eigenvalues may be negative (Simon et al. 2023, arXiv 2303.15438).
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import working
from jssl.data.checks import require_count, require_name
from jssl.data.views import View, batch_view
from jssl.errors import InputError
from jssl.types import Array, Pairs

PLACEMENTS = ("both", "second")
"""Which views are augmented: both of them, or only the second (a clean anchor)."""


class FixedPairs(NamedTuple):
    """The sampler that returns the same pairs for every key.

    A theory for a fixed data set checks `isinstance(sampler, FixedPairs)` and uses `pairs`.

    Attributes:
        pairs: result of every call.
    """

    pairs: Pairs

    def __call__(self, key: Array) -> Pairs:
        """Return the pairs; the key is not used."""
        del key
        return self.pairs


def fixed(pairs: Pairs) -> Callable[[Array], Pairs]:
    """Return the sampler of a fixed set of pairs, full-batch training.

    Example:
        >>> pairs = Pairs(jnp.ones((3, 2)), jnp.zeros((3, 2)))
        >>> fixed(pairs)(jax.random.key(0)) is pairs
        True
    """
    return cast(Callable[[Array], Pairs], FixedPairs(pairs))


def fresh(
    x: Array, view: View, batch: int | None = None, *, placement: str = "both"
) -> Callable[[Array], Pairs]:
    """Return the sampler that draws samples and two independent views of each at every key.

    Example:
        >>> from jssl.data.views import noise
        >>> sampler = fresh(jnp.zeros((10, 4)), noise(0.1), batch=3)
        >>> jax.jit(sampler)(jax.random.key(0)).first.shape
        (3, 4)

    Args:
        x: (n, ...) floating-point samples.
        view: `view(key, x) -> x` on one sample.
        batch: samples per draw, without replacement, 1 <= batch <= n, static; None for all of x in
            their order.
        placement: "both", or "second" for a first view that is the sample itself.

    Returns:
        `sampler(key) -> Pairs`.

    Raises:
        InputError: for a batch out of range, an unknown placement, x that is not floating point.
    """
    x = _samples(x)
    require_name("placement", placement, PLACEMENTS)
    if batch is None:
        return lambda key: make_pairs(key, x, view, placement=placement)
    size = require_count("batch", batch, high=len(x))

    def sampler(key: Array) -> Pairs:
        row_key, view_key = jax.random.split(key)
        rows = jax.random.choice(row_key, len(x), (size,), replace=False)
        return make_pairs(view_key, x[rows], view, placement=placement)

    return sampler


def make_pairs(key: Array, x: Array, view: View, *, placement: str = "both") -> Pairs:
    """Return two independent views of every sample.

    Example:
        >>> from jssl.data.views import noise
        >>> pairs = make_pairs(jax.random.key(0), jnp.zeros((10, 4)), noise(0.1))
        >>> bool((pairs.first != pairs.second).all())
        True

    Args:
        key: typed key; the view of sample i depends on the key and i only.
        x: (n, ...) floating-point samples.
        view: `view(key, x) -> x` on one sample.
        placement: "both", or "second" for a first view that is the sample itself.

    Returns:
        Pairs of shape (n, ...).

    Raises:
        InputError: for an unknown placement or x that is not floating point.
    """
    x = _samples(x)
    require_name("placement", placement, PLACEMENTS)
    views = batch_view(view)
    first_key, second_key = jax.random.split(key)
    first = views(first_key, x) if placement == "both" else x
    return Pairs(first, views(second_key, x))


def flatten(pairs: Pairs) -> Pairs:
    """Return the pairs with samples of any shape as rows, (n, features).

    Example:
        >>> flatten(Pairs(jnp.ones((3, 2, 2)), jnp.ones((3, 2, 2)))).first.shape
        (3, 4)
    """
    return jax.tree.map(lambda x: x.reshape(len(x), -1), pairs)


def centre(pairs: Pairs) -> Pairs:
    """Subtract one common mean, that of all 2n views, from every view and negative.

    Both views are views of one distribution, so they share a mean; subtracting each view's own
    would remove a difference between the views as well.

    Example:
        >>> pairs = centre(Pairs(jnp.array([[1.0], [2.0]]), jnp.array([[3.0], [6.0]])))
        >>> pairs.first.ravel().tolist(), pairs.second.ravel().tolist()
        ([-2.0, -1.0], [0.0, 3.0])
    """
    mean = (pairs.first.mean(0) + pairs.second.mean(0)) / 2
    return jax.tree.map(lambda x: x - mean, pairs)


def check_pairs(pairs: Pairs) -> Pairs:
    """Return the pairs unchanged, after checking their shapes and values; outside jit.

    Example:
        >>> check_pairs(Pairs(jnp.ones((3, 2)), jnp.ones((3, 2)).at[1, 0].set(jnp.nan)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: pairs.second has 1 value that is not finite, at (1, 0); ...

    Raises:
        InputError: for different shapes, fewer than two pairs, values that are not floating point
            or not finite (with their number and first positions).
    """
    views = {name: np.asarray(x) for name, x in pairs._asdict().items() if x is not None}
    for name, x in views.items():
        if x.ndim < 2 or len(x) < 2:
            message = f"pairs.{name} must have two or more samples (n, ...); got shape {x.shape}"
            raise InputError(message)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            message = f"pairs.{name} must be floating point; convert {x.dtype} to float first"
            raise InputError(message)
        if x.shape != pairs.first.shape:
            message = f"pairs.{name} is {x.shape} but pairs.first {pairs.first.shape}; match them"
            raise InputError(message)
        bad = np.argwhere(~np.isfinite(x))
        if len(bad):
            where = ", ".join(str(tuple(index.tolist())) for index in bad[:3])
            what = "1 value that is" if len(bad) == 1 else f"{len(bad)} values that are"
            more = ", ..." if len(bad) > 3 else ""
            message = f"pairs.{name} has {what} not finite, at {where}{more}; drop or repair them"
            raise InputError(message)
    return pairs


def cross_moment(pairs: Pairs) -> Array:
    """Return Gamma, the symmetrised second moment across the two views.

    Example:
        >>> pairs = Pairs(jnp.eye(2), jnp.diag(jnp.array([1.0, -1.0])))
        >>> cross_moment(pairs).tolist()
        [[0.5, 0.0], [0.0, -0.5]]

    Gamma = (1/2n) sum_i (x_i x'_i^T + x'_i x_i^T). Nothing is centred.

    Args:
        pairs: n pairs of any shape; samples are flattened to m features.

    Returns:
        (m, m) symmetric, not necessarily positive semidefinite; in the dtype of the pairs, at least
        float32, so that integers do not wrap around and half precision does not overflow.

    Raises:
        InputError: for views of different shapes, or values that are not real numbers.

    References:
        Simon et al. 2023, arXiv 2303.15438, section 4.
    """
    pairs = flatten(pairs)
    first, second = working(first=pairs.first, second=pairs.second)
    if first.shape != second.shape:
        message = f"views must match; got {first.shape} and {second.shape}"
        raise InputError(message)
    moment = jnp.matmul(first.T, second / len(second), precision="highest")
    return (moment + moment.T) / 2


def expected_cross_moment(
    key: Array, x: Array, view: View, draws: int, *, placement: str = "both"
) -> tuple[Array, Array]:
    """Estimate the expectation of Gamma over fresh views of the samples x.

    Example:
        >>> from jssl.data.views import noise
        >>> x = jnp.eye(3)
        >>> mean, error = expected_cross_moment(jax.random.key(0), x, noise(0.3), draws=100)
        >>> bool((abs(mean - x / 3) < 6 * error).all())
        True

    Training with `fresh` and a small learning rate follows this Gamma. One draw is one pair of
    views of every sample; draws are averaged one after the other and not stored.

    Args:
        key: typed key; draw k uses fold_in(key, k).
        x: (n, ...) floating-point samples, m features each.
        view: `view(key, x) -> x` on one sample.
        draws: number of draws, >= 2, static.
        placement: as in `make_pairs`.

    Returns:
        The mean and its standard error over the draws (x given), each (m, m).

    Raises:
        InputError: for fewer than two draws, and as `make_pairs`.
    """
    draws = require_count("draws", draws, low=2)
    x = _samples(x)

    def step(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        mean, squares = carry
        pairs = make_pairs(jax.random.fold_in(key, k), x, view, placement=placement)
        gamma = cross_moment(pairs)
        new = mean + (gamma - mean) / (k + 1).astype(gamma.dtype)
        return new, squares + (gamma - mean) * (gamma - new)

    zero = jnp.zeros((x[0].size, x[0].size), working(x=x)[0].dtype)
    mean, squares = jax.lax.fori_loop(0, draws, step, (zero, zero))
    return mean, jnp.sqrt(squares / float(draws * (draws - 1)))


def _samples(x: Array) -> Array:
    x = jnp.asarray(x)
    if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        message = f"samples must be a floating-point array (n, ...); got {x.dtype}{list(x.shape)}"
        raise InputError(message)
    return x
