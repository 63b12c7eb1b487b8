r"""LiDAR: over how many dimensions the means of samples differ, in units of what views differ.

With views z_ij of sample i, mean m_i over its views and m over all,

    between = mean_i (m_i - m)(m_i - m)^T,   within = mean_ij (z_ij - m_i)(z_ij - m_i)^T
    LiDAR   = entropy rank of the eigenvalues of w^{-1/2} between w^{-1/2},
              w = within + ridge (tr between + tr within) / dim I

Source: Thilak et al. 2023, arXiv 2312.04000, whose ridge of 1e-4 is absolute. Here it is a share of
the mean variance, so that the value does not depend on the scale of the embeddings.
"""

from typing import Any

from jssl.data.checks import require_range
from jssl.errors import InputError
from jssl.formulas import lidar as formulas
from jssl.formulas.algebra import centred, matmul, mean
from jssl.formulas.libraries import Array, compiled, scalar, working


def lidar(clouds: Array, *, ridge: float = formulas.RIDGE) -> Array:
    """Return LiDAR of embeddings of several views of each sample.

    Example:
        >>> import numpy as np
        >>> clouds = np.random.default_rng(0).normal(size=(50, 1, 3)) * np.ones((50, 4, 1))
        >>> print(bool(lidar(clouds) > 2.5), lidar(np.ones((50, 4, 3))))
        True 0.0

    Between 1 and min(samples - 1, dim); 0 where the means of all samples agree to rounding error.

    With many samples, a dimension of variance s between samples and w between views of one sample
    has the eigenvalue (s + w / views) / (w (1 - 1 / views) + ridge), a dimension of pure noise
    about 1 / (views - 1): means over few views vary too. The rank depends on ratios of eigenvalues
    only. So noise dimensions count little beside dimensions whose views agree well, s / w far above
    1 / views, and unlike in RankMe their size does not matter. But embeddings that are noise
    throughout have equal eigenvalues and a LiDAR near dim, however many views there are: read LiDAR
    together with the `alignment` of views or a probe. Take ten views or more; how well it ranks
    encoders is measured in docs/diagnosis-verdicts.md.

    Args:
        clouds: (..., samples, views, dim), two or more of each.
        ridge: added to the within covariance, > 0, in units of the mean variance of a coordinate.
            The rounding error of that covariance is the least that is added.

    Returns:
        (...) in the dtype of the embeddings, at least float32. NaN where a value is not finite.

    Raises:
        InputError: for fewer than two samples or views, a ridge that is not positive, or values
            that are not real numbers.

    References:
        Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind, Littwin 2023, arXiv 2312.04000, eq. 5.
    """
    xp, clouds = working(clouds=clouds)
    if clouds.ndim < 3 or min(clouds.shape[-3:-1]) < 2 or not clouds.shape[-1]:
        shape = tuple(clouds.shape)
        message = f"LiDAR needs (samples, views, dim), two or more views; got {shape}"
        raise InputError(message)
    return _of_clouds(clouds, _checked(ridge, clouds, xp), xp=xp)


def lidar_from_covariances(
    between: Array, within: Array, *, ridge: float = formulas.RIDGE
) -> Array:
    """Return LiDAR from the covariance of the samples' means and that of views around them.

    Example:
        >>> import numpy as np
        >>> print(f"{lidar_from_covariances(np.eye(3), np.eye(3)):.3f}")
        3.000

    Args:
        between: (..., dim, dim).
        within: (..., dim, dim), without the ridge.
        ridge: > 0.

    Returns:
        (...) as `lidar`.

    Raises:
        InputError: for matrices that are not square or of different shapes, a ridge that is not
            positive, or values that are not real numbers.
    """
    xp, between, within = working(between=between, within=within)
    shape = tuple(between.shape)
    if len(shape) < 2 or shape[-1] != shape[-2] or not shape[-1] or tuple(within.shape) != shape:
        message = f"both covariances must be (..., dim, dim); got {shape} and {tuple(within.shape)}"
        raise InputError(message)
    return _lidar(between, within, _checked(ridge, between, xp), xp=xp)


def _checked(ridge: Any, like: Any, xp: Any) -> Any:
    require_range("ridge", ridge, float(xp.finfo(like.dtype).smallest_normal))
    return scalar(ridge, like, xp)


def _clouds(clouds: Any, ridge: Any, xp: Any) -> Any:
    """Both covariances from numbers of order one, so that no square leaves the dtype."""
    largest = xp.max(xp.abs(clouds), axis=(-3, -2, -1), keepdims=True)
    shifted = clouds - clouds[..., :1, :]  # so that equal views have no variance at all
    offsets = mean(shifted, xp, -2)
    noise = shifted - offsets[..., None, :]
    apart = centred(clouds[..., 0, :] + offsets, xp)
    size = xp.max(xp.abs(apart), axis=(-2, -1), keepdims=True)
    rounding = 4 * xp.finfo(clouds.dtype).eps * largest[..., 0]
    apart = xp.where(size <= rounding, 0, apart)
    of_noise = xp.max(xp.abs(noise), axis=(-3, -2, -1), keepdims=True)[..., 0]
    unit = xp.where(size < of_noise, of_noise, size)
    unit = xp.where(unit == 0, 1, unit)
    noise = xp.reshape(noise / unit[..., None], (*clouds.shape[:-3], -1, clouds.shape[-1]))
    between, within = (_second_moment(x, xp) for x in (apart / unit, noise))
    return formulas.lidar(between, within, ridge, xp)


def _second_moment(x: Any, xp: Any) -> Any:
    return matmul(x.mT, x / x.shape[-2], xp)


_of_clouds = compiled(_clouds)
_lidar = compiled(formulas.lidar)
