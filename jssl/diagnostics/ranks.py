r"""Numbers of dimensions of a spectrum that need no threshold.

    entropy rank          exp(-sum_j p_j log p_j),   p = values / their sum
    RankMe                the entropy rank of the singular values of Z, not centred
    participation ratio   (sum_j eigenvalue_j)^2 / sum_j eigenvalue_j^2
    alpha-ReQ             the slope of eigenvalue_j ~ j^-alpha

All are 0 (alpha: NaN) for a spectrum of zeros, which is complete collapse, NaN where a value is not
finite, and map over leading axes. The eigenvalues of a covariance or Gram matrix are the squares of
singular values, up to a factor that does not change ranks: `entropy_rank(eigenvalues,
squares=True)`.
"""

from __future__ import annotations

from typing import Any

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.formulas import ranks as formulas
from jssl.formulas.algebra import centred, constant, singular_values
from jssl.formulas.libraries import Array, compiled, rows, working
from jssl.formulas.ranks import PowerLaw
from jssl.host_arithmetic import ROUNDING


def entropy_rank(values: Array, *, squares: bool = False) -> Array:
    """Return exp of the entropy of non-negative values (..., k) scaled to sum 1; 0 if all are 0.

    Example:
        >>> import numpy as np
        >>> print(entropy_rank(np.array([[2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])).round(3))
        [2. 0.]

    Between 1 (one value is nonzero) and k (all are equal). Of singular values it is the effective
    rank of Roy and Vetterli 2007, which is RankMe's.

    An eigenvalue that is exactly 0 comes out of a float32 eigensolver at up to 4e-7 of the largest,
    of either sign. Its square root, 6e-4 of the largest singular value, is not small: sixty of
    them change a rank of 3 to 3.4. Pass eigenvalues themselves, with `squares=True`.

    Args:
        values: (..., k) singular values, or eigenvalues with `squares`.
        squares: whether the values are squares of singular values, as the eigenvalues of a
            covariance or Gram matrix are. Those below 16 eps of the largest count as 0, and the
            square root of the others is taken. Static.

    Returns:
        (...) in the dtype of the values, at least float32. NaN where a value is not finite, or is
        negative by more than 16 eps of the largest.

    Raises:
        InputError: for no values, or values that are not real numbers.
    """
    xp, spectra = _spectra("values", values)
    return _entropy_rank(spectra, squares=squares, xp=xp)


def participation_ratio(eigenvalues: Array) -> Array:
    """Return (sum eigenvalues)^2 / sum eigenvalues^2 of a covariance, (..., k) -> (...).

    Example:
        >>> import numpy as np
        >>> print(participation_ratio(np.array([1.0, 1.0, 0.0])))
        2.0

    Between 1 and the number of eigenvalues; dominated by the large ones, so it is at most the
    entropy rank of the same values. 0 for a spectrum of zeros, NaN where a value is not finite.

    Raises:
        InputError: for no eigenvalues, or eigenvalues that are not real numbers.
    """
    xp, spectra = _spectra("eigenvalues", eigenvalues)
    return _participation_ratio(spectra, xp=xp)


def rankme(z: Array) -> Array:
    """Return RankMe of embeddings: the entropy rank of their singular values, not centred.

    Example:
        >>> import numpy as np
        >>> print(rankme(np.eye(4)), rankme(np.ones((4, 3))).round(4))
        4.0 1.0

    Between 1 and min(n, dim), high is good: over runs of one method it ranks encoders as linear
    probes do. Nothing is centred, so a constant embedding has 1, its least value (0 if it is zero);
    the centred `effective_rank` has 0 there. The paper's 1e-7 inside the logarithm is left out;
    singular values below 16 eps |z|_F are rounding error and count as 0.

    Args:
        z: (..., n, dim) embeddings.

    Returns:
        (...) in the dtype of the embeddings, at least float32; NaN where a value is not finite.

    Raises:
        InputError: for another shape, or values that are not real numbers.

    References:
        Garrido, Balestriero, Najman, LeCun 2023, arXiv 2210.02885, eq. 1-2.
    """
    xp, z = rows("embeddings", z)
    return rank_of_rows(z, centre=False, xp=xp)


def alpha_req(eigenvalues: Array, *, first: int = 1, last: int | None = None) -> PowerLaw:
    """Return the decay exponent of a covariance's spectrum, eigenvalue_j ~ j^-alpha.

    Example:
        >>> import numpy as np
        >>> law = alpha_req(np.arange(1.0, 65.0) ** -1.5)
        >>> print(f"{law.exponent:.3f} {law.fit:.3f}")
        1.500 1.000

    Least squares of log eigenvalue_j on log j with weights 1/j, so that every octave has the same
    weight. Near 1 is good. Far above 1, few dimensions have most of the variance; far below 1, the
    spectrum is flat as noise is. Eigenvalues below 16 eps of the largest are rounding error and
    take no part.

    Args:
        eigenvalues: (..., k) of a covariance, descending.
        first: index of the first eigenvalue used, from 1, static.
        last: index of the last; None for all.

    Returns:
        PowerLaw; NaN where an eigenvalue is not finite or fewer than two take part.

    Raises:
        InputError: for a range that does not lie in 1 ... k, or for eigenvalues that are not real
            numbers.

    References:
        Agrawal, Mondal, Ghosh, Richards 2022, alpha-ReQ, NeurIPS 35; the weights are those of
        Stringer et al. 2019, Nature 571.
    """
    xp, eigenvalues = _spectra("eigenvalues", eigenvalues)
    count = eigenvalues.shape[-1]
    last = require_count("last", count if last is None else last, high=count)
    first = require_count("first", first, high=last)
    return _power_law(eigenvalues, first=first, last=last, xp=xp)


def _rank_of_rows(z: Any, *, centre: bool, xp: Any) -> Any:
    largest = xp.max(xp.abs(z), axis=(-2, -1), keepdims=True)
    z = z / xp.where(largest == 0, 1, largest)
    values = singular_values(centred(z, xp) if centre else z, xp)
    size = xp.linalg.matrix_norm(constant(z, xp))[..., None]
    floor = ROUNDING * xp.finfo(values.dtype).eps * size
    return formulas.entropy_rank(xp.where(values <= floor, 0, values), squares=False, xp=xp)


rank_of_rows = compiled(_rank_of_rows, static=("centre",))
"""Entropy rank of the singular values of rows that are checked already."""
_entropy_rank = compiled(formulas.entropy_rank, static=("squares",))
_participation_ratio = compiled(formulas.participation_ratio)
_power_law = compiled(formulas.power_law, static=("first", "last"))


def _spectra(name: str, values: Any) -> tuple[Any, Any]:
    xp, spectra = working(**{name: values})
    if not spectra.ndim or not spectra.shape[-1]:
        message = f"{name} must be (..., k) with k >= 1; got shape {tuple(spectra.shape)}"
        raise InputError(message)
    return xp, spectra
