r"""Losses that make embeddings isotropic and Gaussian: SIGReg, BHEP and LeJEPA.

    SIGReg    mean over unit directions a of T(z . a), the Epps-Pulley statistic of a projection
    BHEP      the same comparison of characteristic functions in all dimensions at once
    LeJEPA    (1 - trade_off) |z_v - mean_v z|^2 + trade_off SIGReg

SIGReg and BHEP look at each view alone; they do not vanish at their target but end near a known
floor (`jssl.theory.isotropy.floor`). SIGReg: arXiv 2511.08544. BHEP: Henze and Wagner 1997.
"""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.arithmetic import dot, mean, working
from jssl.errors import InputError, shown, unknown_name
from jssl.keys import require_key
from jssl.losses.characteristic import GRIDS
from jssl.losses.common import check_choice, check_number, check_rows, prepare, unit
from jssl.losses.slices import directions, sliced
from jssl.number_checks import require_flag
from jssl.types import Array, Pairs, Params

GRID_NAMES = tuple(GRIDS)


def sigreg(
    za: Array,
    zb: Array,
    *,
    key: Array | None = None,
    slices: int | Array = 1024,
    grid: str = "code",
    unbiased: bool = False,
) -> Array:
    r"""SIGReg: how far random projections of the embeddings are from a standard normal law.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> z = jax.random.normal(jax.random.key(1), (500, 4))
        >>> near, collapsed = sigreg(z, z, slices=64), sigreg(0 * z, 0 * z, slices=64)
        >>> print(bool(near < 3), round(float(collapsed) / 500, 4))
        True 0.402

    $$L = \frac12 \sum_{z \in \{z_a, z_b\}} \frac1M \sum_{m=1}^M T(z a_m), \qquad
    T(y) = n \int \Big| \frac1n \sum_i e^{i t y_i} - e^{-t^2/2} \Big|^2 e^{-t^2/2} dt$$

    The directions $a_m$ are uniform on the unit sphere. T grows with n: at N(0, I) its mean is
    about 1.06 for every n (1.0525 on the knots of the code), at z = 0 it is 0.402 n.

    Three grids are in use. `code` is that of the authors' present code and of lightly 1.6: 17 knots
    on [0, 3], doubled, which truncates the weight (1.7 % less at collapse, 0.7 % less at the
    target). `paper` is that of the paper: 17 points on [-5, 5]. It equals the whole line to a part
    in 10^5 for projections of variance up to 0.9, but its knots are too far apart for wide ones:
    0.1 % more at variance 2, 2 % at 4, 10 % at 10. `exact` is the whole line in closed form; it
    compares all pairs of samples.

    Args:
        za: (n, dim) embeddings of the first views, n >= 2.
        zb: (n, dim) embeddings of the second views.
        key: typed key that draws the directions. None always draws the same ones; for new ones in
            each step use `sliced_objective`.
        slices: M >= 1, the number of directions (static; memory does not grow with it), or an array
            (M, dim) of directions of any length, which the key does not change.
        grid: `code`, `paper` or `exact` (static).
        unbiased: whether the pairs of a sample with itself are left out (static). The mean is then
            n times that of an infinite batch, and the value may be negative.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, no slice, a slice of zeros, an unknown
            grid, a key that is not typed, or an `unbiased` that is not True or False.

    References:
        arXiv 2511.08544, its definition of SIGReg and Algorithm 1. Epps and Pulley 1983.
    """
    za, zb = prepare(za, zb, 2)
    options: dict[str, Any] = {"key": key, "slices": slices, "grid": grid, "unbiased": unbiased}
    return (view_sigreg(za, **options) + view_sigreg(zb, **options)) / 2


def view_sigreg(
    z: Array,
    *,
    key: Array | None = None,
    slices: int | Array = 1024,
    grid: str = "code",
    unbiased: bool = False,
) -> Array:
    """Return SIGReg of one set of embeddings (n, dim), with the arguments of `sigreg`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(view_sigreg(jnp.zeros((10, 2)), slices=8, grid="exact").round(4))
        4.0892
    """
    za, _ = prepare(z, z, 2)
    check_choice("grid", grid, GRID_NAMES)
    unbiased = require_flag("unbiased", unbiased)
    if key is not None:
        require_key(key)
    if getattr(slices, "ndim", 0):
        a = working(slices=slices)[0].astype(za.dtype)
        check_rows("slices", a, za)
        _refuse_zero_slices(slices, a)
        a = unit(a)
    else:
        a = directions(key, za.shape[1], slices, za.dtype)
    return sliced(za, a, grid, unbiased)


def _refuse_zero_slices(given: Any, a: Array) -> None:
    """Raise unless there is a direction, and none of those that are known is zero or not finite."""
    if not len(a):
        message = f"slices must hold at least one direction; got shape {a.shape}"
        raise InputError(message)
    if isinstance(given, jax.core.Tracer):
        return
    lengths = np.abs(np.asarray(given, np.float64)).max(1)
    bad = ~((lengths > 0) & np.isfinite(lengths))
    if bad.any():
        message = (
            f"slices must be directions; row {int(np.argmax(bad)) + 1} of {len(a)} is zero or not "
            "finite"
        )
        raise InputError(message)


def bhep(
    za: Array, zb: Array, *, width: float | Array | None = None, unbiased: bool = False
) -> Array:
    r"""BHEP: distance of the characteristic function in all dimensions from that of N(0, I).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> z = jax.random.normal(jax.random.key(1), (500, 4))
        >>> print(bool(bhep(z, z) < 0.01), round(float(bhep(0 * z, 0 * z)), 4))
        True 0.3611

    The mean over both views of

    $$V = \frac1{n^2} \sum_{ij} e^{-b |z_i - z_j|^2 / 2} - \frac{2 (1 + b)^{-d/2}}{n}
    \sum_i e^{-b |z_i|^2 / (2 (1 + b))} + (1 + 2b)^{-d/2}$$

    which is the mean of |phi(t) - exp(-|t|^2/2)|^2 over t ~ N(0, b I). It needs no slices and
    n^2 memory. At the usual b = 1 the statistic sees almost nothing for d >= 8: its curvature at
    the target is (1 + 2b)^(-d/2 - 2) b^2. The default b = 2/d maximises this curvature.

    Args:
        za: (n, d) embeddings of the first views, n >= 2.
        zb: (n, d) embeddings of the second views.
        width: b > 0, the variance of the weight; None is 2/d.
        unbiased: whether the pairs i = j are left out (static); the value may then be negative.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, fewer than two pairs, or a width that is not positive.

    References:
        Henze and Wagner 1997, "A new approach to the BHEP tests for multivariate normality".
    """
    za, zb = prepare(za, zb, 2)
    unbiased = require_flag("unbiased", unbiased)
    width = 2 / za.shape[1] if width is None else width
    check_number("width", width)
    b = jnp.asarray(width, za.dtype)
    return (_bhep(za, b, unbiased) + _bhep(zb, b, unbiased)) / 2


def lejepa(
    za: Array,
    zb: Array,
    *,
    trade_off: float | Array = 0.05,
    key: Array | None = None,
    slices: int | Array = 1024,
    grid: str = "code",
    unbiased: bool = False,
) -> Array:
    r"""LeJEPA: the views should agree, and each view should be isotropic and Gaussian.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> z = jax.random.normal(jax.random.key(1), (500, 4))
        >>> print(bool(lejepa(z, z) < 0.15 < lejepa(z, -z)))
        True

    $$L = (1 - w) \frac{1}{2 n d} \sum_i \sum_{v \in \{a, b\}} |z_{v,i} - \bar z_i|^2
    + w \, \mathrm{SIGReg}(z_a, z_b), \qquad \bar z_i = (z_{a,i} + z_{b,i})/2$$

    with w = `trade_off`. The first term is a mean over the d coordinates, and SIGReg grows with n,
    so in the form alignment + lambda R the weight is

    $$\lambda = \frac{w \, n \sqrt{2\pi} \, d}{(1 - w)/2}$$

    (`jssl.theory.isotropy.effective_weight`): one w is a stronger regulariser in a larger batch
    and in more dimensions. lightly's `LeJEPALoss` takes the mean of the global views instead of
    all views; the two agree where every view is global.

    Args:
        za: (n, d) embeddings of the first views, n >= 2.
        zb: (n, d) embeddings of the second views.
        trade_off: w in [0, 1].
        key: as for `sigreg`.
        slices: as for `sigreg`.
        grid: as for `sigreg`.
        unbiased: as for `sigreg`.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: as `sigreg`, and on a trade-off outside [0, 1].

    References:
        arXiv 2511.08544, Algorithm 2; the mean over coordinates is that of the authors' code.
    """
    za, zb, share = prepare(za, zb, 2, trade_off=trade_off)
    spread = mean((za - zb) ** 2) / 4
    isotropy = sigreg(za, zb, key=key, slices=slices, grid=grid, unbiased=unbiased)
    return (1 - share) * spread + share * isotropy


def sliced_objective(
    apply: Callable[[Params, Array], Array],
    loss: Callable[..., Array] = lejepa,
    **hyperparameters: Any,
) -> Callable[[Params, Pairs, Array], Array]:
    """Return an objective that draws new directions in each step, for `Problem.objective`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> objective = sliced_objective(lambda w, x: x @ w.T, slices=8)
        >>> x = jax.random.normal(jax.random.key(0), (20, 3))
        >>> one, other = (objective(jnp.eye(3), Pairs(x, x), jax.random.key(k)) for k in (1, 2))
        >>> bool(one != other)
        True

    Args:
        apply: `apply(params, x) -> z`, of the encoder.
        loss: `lejepa`, `sigreg`, or any loss with a keyword argument `key`.
        **hyperparameters: of the loss.

    Raises:
        InputError: for a loss without the argument `key`, or a hyperparameter that it has not; in a
            step, for a key that is not typed.
    """
    _check_keywords(loss, hyperparameters)

    def objective(params: Params, pairs: Pairs, key: Array) -> Array:
        require_key(key)
        za, zb = apply(params, pairs.first), apply(params, pairs.second)
        return loss(za, zb, key=jax.random.fold_in(key, 0x51163), **hyperparameters)

    return objective


def _check_keywords(loss: Callable[..., Array], hyperparameters: dict[str, Any]) -> None:
    """Raise unless a loss takes `key` and these hyperparameters."""
    if not callable(loss):
        message = (
            f"loss must be a function with an argument `key`, such as lejepa; got {shown(loss)}"
        )
        raise InputError(message)
    if "key" in hyperparameters:
        message = "leave out key: the objective draws new directions from the key of each step"
        raise InputError(message)
    known = inspect.signature(loss).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values()):
        return
    if "key" not in known:
        name = getattr(loss, "__name__", shown(loss))
        message = f"{name} draws nothing: it has no argument `key`; pass it to the Problem as it is"
        raise InputError(message)
    for word in hyperparameters:
        if word not in known:
            names = [name for name in list(known)[2:] if name != "key"]
            raise unknown_name(kind="hyperparameter", name=word, known=names)


def _bhep(z: Array, b: Array, unbiased: bool) -> Array:
    n, dim = z.shape
    # Distances are the same from any centre; a median keeps the digits of rows beside outliers.
    shifted = z - jax.lax.stop_gradient(jnp.sort(z, 0)[n // 2])
    far = jnp.max(jnp.abs(shifted), 1) > float(jnp.finfo(z.dtype).max) ** 0.4
    near = jnp.where(far[:, None], 0, shifted)  # squares of the others would leave the dtype
    halves = jnp.sum(near**2, 1) / 2
    apart = jnp.maximum(halves[:, None] + halves - dot(near, near.T), 0)
    same = jnp.eye(n, dtype=bool)
    kernel = jnp.where(same, 0 if unbiased else 1, jnp.exp(-b * jnp.where(same, 0, apart)))
    kernel = jnp.where((far[:, None] | far) & ~same, 0, kernel)
    own = jnp.exp(-dim / 2 * jnp.log1p(b) - b / (1 + b) / 2 * jnp.sum(z**2, 1))
    pairs = jnp.sum(kernel / n) / (n - 1 if unbiased else n)
    # infinite embeddings give NaN, not the value of embeddings far apart
    return pairs - 2 * mean(own) + jnp.exp(-dim / 2 * jnp.log1p(2 * b)) + 0 * mean(z)
