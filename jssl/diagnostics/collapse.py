r"""The rank that the landscape theory predicts, and the measured rank of embeddings.

Features h of two augmented views of the same samples, and a linear head z = W h after them, see the
landscape -Tr[W (B - decay) W^T] + ... with B = A0 - f C estimated from the features: a dimension of
B that is not above the weight decay is one that the head gives up (Ziyin et al. 2023, arXiv
2210.00638). Complete collapse is exact for any features; dimensional thresholds are exact for
Gaussian ones and were 9 % and 15 % off on a mixture.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jssl.data.checks import require_range
from jssl.diagnostics.spectrum import covariance, spectrum
from jssl.errors import InputError
from jssl.formulas.libraries import Array, is_jax, library_of, on_host, to_library
from jssl.host_arithmetic import ROUNDING

SIMCLR = "augmented-augmented-augmented"


class Collapse(NamedTuple):
    """The predicted rank and the measured one, side by side.

    Attributes:
        signal: (d, d) B of the features, before weight decay.
        covariance: (d, d) Sigma of the features, augmentation included where the negatives have it.
        eigenvalues: (d,) u^T B u on held-out pairs, in the order of the eigenvalues of B.
        errors: (d,) their standard errors.
        predicted_rank: dimensions whose eigenvalue exceeds the weight decay, by more than rounding
            error, at most the outputs.
        certain_rank: those that exceed it by 3.9 standard errors.
        possible_rank: those not below it by 3.9 standard errors.
        measured_rank: eigenvalues of the embeddings' covariance above the tolerance.
        measured: (m,) that spectrum over the temperature, descending.
    """

    signal: Array
    covariance: Array
    eigenvalues: Array
    errors: Array
    predicted_rank: Array
    certain_rank: Array
    possible_rank: Array
    measured_rank: Array
    measured: Array


def collapse(
    first: Array,
    second: Array,
    embeddings: Array | None = None,
    *,
    placement: str = SIMCLR,
    clean_first: bool = False,
    weight_decay: Any = 0.0,
    temperature: float = 1.0,
    alignment: Any = 1.0,
    tolerance: float = 1e-2,
) -> Collapse:
    """Return how many dimensions survive under the Euclidean InfoNCE: predicted and measured.

    Example:
        >>> import jax
        >>> from jssl.data.toy import gaussian_pairs
        >>> pairs = gaussian_pairs(jax.random.key(0), 2000, [2.0, 1.0, 0.5], [0.1, 0.1, 3.0])
        >>> seen = collapse(pairs.first, pairs.second, placement="clean-augmented-clean")
        >>> print(seen.predicted_rank, seen.certain_rank, seen.measured_rank)
        2 2 3

    Computed with JAX, whichever library the arrays are of; the result is of their library, without
    gradient unless they are JAX's.

    Args:
        first: (n, d) features of the first views, the input of the linear head.
        second: (n, d) features of the second views.
        embeddings: (N, m) outputs of the trained head; None for the features of the first views.
        placement: how the loss uses the views, a name in `jssl.theory.landscape.PLACEMENTS`.
        clean_first: whether `first` was not augmented.
        weight_decay: >= 0, multiplies the head's ||W||_F^2.
        temperature: > 0.
        alignment: weight of the positive term.
        tolerance: a dimension whose variance is below this share of the temperature counts as
            lost: the score does not see it.

    Returns:
        Collapse.

    Raises:
        InputError: for shapes that do not fit, an unknown placement, numbers out of range, or
            features or embeddings that are not real numbers or not finite.
    """
    given = (first, second, embeddings, weight_decay, alignment)
    xp = library_of(*given)
    if not is_jax(xp):
        first, second, embeddings = (on_host(value) for value in given[:3])
    found = _collapse(
        first,
        second,
        embeddings,
        placement=placement,
        clean_first=clean_first,
        weight_decay=weight_decay,
        temperature=temperature,
        alignment=alignment,
        tolerance=tolerance,
    )
    return Collapse(*(to_library(value, given, xp) for value in found))


def _collapse(
    first: Any,
    second: Any,
    embeddings: Any,
    *,
    placement: str,
    clean_first: bool,
    weight_decay: Any,
    temperature: float,
    alignment: Any,
    tolerance: float,
) -> Collapse:
    import jax.numpy as jnp

    from jssl.arithmetic import rows, working
    from jssl.losses.common import check_number
    from jssl.theory.landscape.design import augmentation_factor
    from jssl.theory.landscape.estimate import Z, estimate_covariances, signal_spectrum

    require_range("weight_decay", weight_decay, 0)
    check_number("temperature", temperature)
    require_range("tolerance", tolerance, 0)
    factor = augmentation_factor(placement, alignment=alignment)
    z = rows("embeddings", first if embeddings is None else embeddings)
    if z.ndim != 2 or len(z) < 2:
        message = f"embeddings must be (N, m) with N >= 2; got shape {z.shape}"
        raise InputError(message)
    first, second = working(first=rows("first", first), second=rows("second", second))
    size = _power_of_two(first, second)  # error bars are fourth moments, which leave float32
    first, second, square = first / size, second / size, size**2 / temperature
    seen = estimate_covariances(first, second, clean_first=clean_first)
    read = signal_spectrum(first, second, factor, clean_first=clean_first)
    if not jnp.isfinite(z).all():
        message = "embeddings must be finite; drop the rows that are not"
        raise InputError(message)
    own = spectrum(covariance(z)) / temperature
    augmented = placement.split("-")[2] == "augmented"
    values, errors = read.held_out * square, read.errors * square

    terms = jnp.max(jnp.abs(seen.data)) + jnp.max(jnp.abs(factor * seen.augmentation))
    rounding = ROUNDING * jnp.finfo(terms.dtype).eps * terms * square

    def count(bound: Any) -> Any:
        return jnp.minimum(jnp.sum(bound > weight_decay + rounding), z.shape[1])

    return Collapse(
        (seen.data - factor * seen.augmentation) * square,
        (seen.data + augmented * seen.augmentation) * size**2,
        values,
        errors,
        count(values),
        count(values - Z * errors),
        count(values + Z * errors),
        jnp.sum(own > tolerance),
        own,
    )


def _power_of_two(first: Any, second: Any) -> Any:
    """Return about the largest absolute value; a product with it rounds nothing."""
    import jax.numpy as jnp

    largest = jnp.maximum(jnp.max(jnp.abs(first)), jnp.max(jnp.abs(second)))
    exponent = jnp.frexp(jnp.where(largest > 0, largest, 1))[1]
    return jnp.ldexp(jnp.ones((), first.dtype), exponent)
