r"""Debiased linear CKA with its standard error over rows, by the exact delete-one jackknife.

For centred rows A, B of n points, with a_i = |A_i|^2, b_i = |B_i|^2 and h_i = sum_{j != i}
(A_i . A_j)(B_i . B_j), the unbiased HSIC (Song et al. 2012) is H = T / (n (n - 3)) with

    T = |A^T B|_F^2 - n / (n - 2) sum a_i b_i + (sum a)(sum b) / ((n - 1)(n - 2))

since the rows of A A^T without its diagonal sum to -a_i. Without point i, T changes by

    - 2 h_i (n - 2) / (n - 3) + 2 / (n - 3) (3 a_i b_i - B_i . B^T a - A_i . A^T b)
    + 2 / ((n - 2)(n - 3)) ((sum a)(sum b) / (n - 1) - sum a b - a_i sum b - b_i sum a + 2 a_i b_i)

so that all n values cost no more than one. The change of the CKA is computed from these changes,
without the difference of two nearly equal numbers. Sources: Song et al. 2012, JMLR 13; Kornblith et
al. 2019, arXiv 1905.00414 (CKA); Efron and Stein 1981, Annals of Statistics 9 (the jackknife).
"""

from typing import Any, NamedTuple

from jssl.formulas.algebra import centred, matmul, mean
from jssl.formulas.sphere import Measured


class Rows(NamedTuple):
    """Centred rows of an embedding, with what its CKA with any other needs.

    Attributes:
        z: (..., n, dim) centred, and scaled so that no product overflows.
        own: (..., n) squared lengths.
        hsic: (...) T / n^2 with itself; NaN where it is rounding error.
        changes: (..., n) of it, without each point.
    """

    z: Any
    own: Any
    hsic: Any
    changes: Any


def prepared(z: Any, xp: Any) -> Rows:
    """Return rows (..., n, dim), n >= 5, as `debiased_cka` takes them.

    Example:
        >>> import numpy as np
        >>> prepared(np.eye(5), np).own.round(2).tolist()
        [1.25, 1.25, 1.25, 1.25, 1.25]
    """
    moved = standard(z, xp)
    own = xp.sum(moved**2, axis=-1)
    alone = Rows(moved, own, of_itself(moved, own, xp), None)
    return alone._replace(changes=_without_each(alone, alone, xp))


def debiased_cka(a: Rows, b: Rows, xp: Any) -> Measured:
    """Return the debiased CKA, 0 on average for unrelated rows, and its error.

    Example:
        >>> import numpy as np
        >>> z = np.random.default_rng(0).normal(size=(50, 3))
        >>> same = debiased_cka(prepared(z, np), prepared(3 - z, np), np)
        >>> print(round(float(same.value), 6), round(float(same.error), 6))
        1.0 0.0

    NaN where one embedding is constant but for one point; the error also where it is so without one
    of its points.
    """
    n = a.z.shape[-2]
    size = xp.sqrt(a.hsic) * xp.sqrt(b.hsic)
    mixed = unbiased_hsic(plain_hsic(a.z, b.z, xp), a.own, b.own, xp)
    shrunk = sum(xp.log1p(x.changes / x.hsic[..., None]) for x in (a, b)) / -2
    moved = mixed[..., None] * xp.expm1(shrunk) + _without_each(a, b, xp) * xp.exp(shrunk)
    moved = moved / size[..., None]
    apart = moved - mean(moved, xp, -1)[..., None]
    return Measured(mixed / size, xp.sqrt(xp.sum(apart**2, axis=-1) * ((n - 1) / n)))


def standard(z: Any, xp: Any) -> Any:
    """Centre, and scale so that no product overflows; a constant embedding becomes zero.

    Example:
        >>> import numpy as np
        >>> standard(np.array([[1.0], [5.0]]), np).tolist()
        [[-1.0], [1.0]]
    """
    largest = xp.max(xp.abs(z), axis=(-2, -1), keepdims=True)
    moved = centred(z, xp)
    rounding = 4 * xp.finfo(moved.dtype).eps * largest
    size = xp.max(xp.abs(moved), axis=(-2, -1), keepdims=True)
    return xp.where(size <= rounding, 0, moved / xp.where(size == 0, 1, size))


def plain_hsic(a: Any, b: Any, xp: Any) -> Any:
    """Return |A^T B|_F^2 / n^2 of centred rows: no number of points overflows.

    Example:
        >>> import numpy as np
        >>> print(plain_hsic(np.array([[1.0], [-1.0]]), np.array([[2.0], [-2.0]]), np))
        4.0
    """
    n = a.shape[-2]
    if n < min(a.shape[-1], b.shape[-1]):
        return xp.sum(_gram(a, xp) * _gram(b, xp), axis=(-2, -1))
    return xp.sum(matmul(a.mT, b / n, xp) ** 2, axis=(-2, -1))


def unbiased_hsic(plain: Any, own_a: Any, own_b: Any, xp: Any) -> Any:
    """Return T / n^2 from the plain HSIC and the squared lengths (..., n) of centred rows.

    Example:
        >>> import numpy as np
        >>> z = np.array([[3.0], [1.0], [-1.0], [-3.0]])
        >>> print(round(float(unbiased_hsic(plain_hsic(z, z, np), z[:, 0]**2, z[:, 0]**2, np)), 3))
        8.667
    """
    n = float(own_a.shape[-1])  # as an integer, (n - 1)(n - 2) leaves int32 from 46,343 rows on
    both = mean(own_a, xp, -1) * mean(own_b, xp, -1) / (n - 1) / (n - 2)
    return plain - mean(own_a * own_b, xp, -1) / (n - 2) + both


def of_itself(z: Any, own: Any, xp: Any) -> Any:
    """Return T / n^2 of centred rows with themselves; NaN where it is rounding error.

    Example:
        >>> import numpy as np
        >>> z = standard(np.eye(5)[:, :1], np)  # one point apart from the others, which are equal
        >>> of_itself(z, z[:, 0] ** 2, np)
        array(nan)
    """
    hsic = unbiased_hsic(plain_hsic(z, z, xp), own, own, xp)
    rounding = 4 * max(z.shape[-2:]) * xp.finfo(z.dtype).eps
    return xp.where(hsic > rounding * mean(own, xp, -1) ** 2, hsic, xp.nan)


def _without_each(a: Rows, b: Rows, xp: Any) -> Any:
    """Return (..., n) changes of T / n^2 when each point is left out."""
    n = float(a.z.shape[-2])
    both = a.own * b.own
    h = (_along(a.z, b.z, xp) - both / n) / n
    across = _across(a.z, b.own, xp) + _across(b.z, a.own, xp)
    of_a, of_b = (mean(x.own, xp, -1)[..., None] for x in (a, b))
    far = of_a * of_b / (n - 1) - mean(both, xp, -1)[..., None] / n
    far = far - (a.own * of_b + b.own * of_a - 2 * both / n) / n
    near = 3 * both / n**2 - across / n - (n - 2) * h
    return 2 * near / (n - 3) + 2 * far / (n - 2) / (n - 3)


def _along(a: Any, b: Any, xp: Any) -> Any:
    """Return (..., n) means over j of (a_i . a_j)(b_i . b_j), by the cheaper of two orders."""
    n = a.shape[-2]
    if n < min(a.shape[-1], b.shape[-1]):
        return n * xp.sum(_gram(a, xp) * _gram(b, xp), axis=-1)
    return xp.sum(matmul(a, matmul(a.mT, b / n, xp), xp) * b, axis=-1)


def _across(z: Any, own: Any, xp: Any) -> Any:
    """Return (..., n) means over j of (z_i . z_j) own_j."""
    return matmul(z, matmul(z.mT, (own / own.shape[-1])[..., None], xp), xp)[..., 0]


def _gram(z: Any, xp: Any) -> Any:
    return matmul(z, z.mT / z.shape[-2], xp)
