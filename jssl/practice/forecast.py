r"""Before training: which dimensions an encoder will learn, in which order, when, and what is lost.

The modes of the contrastive kernel A K c = eigenvalue c of the user's own pairs (S-15, S-16, by
Lanczos), each read again on pairs that did not choose it; a small random start of the encoder,
whose mode j has s_j(0)^2 = scale^2 c_j^T NNGP c_j chi^2 with dim - j + 1 degrees of freedom; and
the time at which each mode comes up,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 signal eigenvalue_j),      steps = t / learning rate,

stretched by the finite step. Simon et al. 2023, arXiv 2303.15438; what an augmentation takes away
is the landscape of Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import digamma, polygamma

from jssl.data.checks import require_count, require_range
from jssl.data.pairs import check_pairs
from jssl.errors import InputError
from jssl.kernels import empirical
from jssl.practice.arrays import to_numpy
from jssl.practice.encoders import encoder, grams
from jssl.practice.loss_of_dimensions import Lost, lost_dimensions
from jssl.practice.modes import ends_of, held_out, modes_of
from jssl.practice.rules import Rule, rule_of
from jssl.precision import float64
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.stepwise import (
    descent_delay,
    error_estimate,
    explain,
    redundancy_staircase,
    stability_threshold,
)
from jssl.types import Array, Pairs, Params

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

MOST = 4000
"""Pairs at most: a Gram matrix of (8000, 8000) float64, 512 MB."""

_SHARE = 0.1
_START = 1e-3


class Forecast(NamedTuple):
    """What the theory says of training, mode by mode in the order of the eigenvalues.

    Attributes:
        eigenvalues: (count,) of the contrastive kernel of all pairs, descending, positive.
        held_out: (count,) the same modes of one half of the pairs read on the other half.
        errors: (count,) standard errors of `held_out`, given the modes of each half.
        times: (dim,) t = learning rate x step at which each dimension is half learned; infinite
            for those never learned.
        steps: (dim,) the same in steps of gradient descent.
        step_errors: (dim,) their standard errors, from the random start and the eigenvalues.
        rises: (dim,) steps in which each rises from 10 % to 90 % of its end.
        learning_rate: given, or a tenth of the largest stable one.
        stable_rate: the largest stable one.
        scale: of the start, given or suggested, in units of the encoder's own.
        relative_start: size of the start of mode 1 over its end.
        worth: how many modes in a row, from the first, have an eigenvalue that exceeds 0 by 3.9
            standard errors on held-out pairs: dimensions are learned in this order, and what the
            next would learn is not told apart from chance.
        all_worth: whether every computed mode does and there may be more, so that `worth` is a
            lower bound.
        leakage: share of the learned subspace outside the top modes, an order of magnitude.
        lost: the landscape of a linear encoder on the same pairs.
        words: the reading, the answer first.
        remarks: what is uncertain.
        settings: pairs, kernel, loss, dim.
    """

    eigenvalues: np.ndarray
    held_out: np.ndarray
    errors: np.ndarray
    times: np.ndarray
    steps: np.ndarray
    step_errors: np.ndarray
    rises: np.ndarray
    learning_rate: float
    stable_rate: float
    scale: float
    relative_start: float
    worth: int
    all_worth: bool
    leakage: float
    lost: Lost
    words: tuple[str, ...]
    remarks: tuple[str, ...]
    settings: dict[str, Any]


def predict(
    pairs: Any,
    *,
    loss: str,
    dim: int,
    kernel: str = "mlp-relu-3",
    apply: Callable[[Params, Array], Array] | None = None,
    params: Params = None,
    learning_rate: float | None = None,
    scale: float | None = None,
    temperature: float = 0.5,
    weight_decay: float = 0.0,
    placement: str = SIMCLR,
    seed: int = 0,
) -> Forecast:
    """Say which dimensions an encoder will learn from pairs, in which order, and when.

    Example:
        >>> from jssl.data.toy import pairs_with_cross_moment
        >>> data = pairs_with_cross_moment([1.0, 0.5, 0.1], 200, key=jax.random.key(0))
        >>> seen = predict(data, loss="barlow_twins_linearized", dim=2, kernel="linear")
        >>> seen.eigenvalues[:3].round(3).tolist(), bool(seen.steps[0] < seen.steps[1])
        ([1.0, 0.5, 0.1], True)

    Args:
        pairs: Pairs, or two arrays (n, ...) of first and second views, of NumPy, JAX or PyTorch.
        loss: a name in `jssl.practice.rules.RULES`, or an alias such as simclr.
        dim: embedding dimension.
        kernel: `linear`, `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`: the encoder
            at infinite width in NTK parametrisation.
        apply: `apply(params, x) -> z` (n, dim) of an encoder of one's own; its empirical tangent
            kernel and its own start are then used, and `kernel` is not.
        params: of `apply`, at the start of training.
        learning_rate: of gradient descent on the loss; None for a tenth of the largest stable one.
        scale: multiplies the encoder's initial embedding, > 0; None for a start of a thousandth of
            the end, small enough for separate steps.
        temperature: of losses that have one.
        weight_decay: of the landscape, >= 0.
        placement: of the augmentation, for simclr: `jssl.theory.landscape.PLACEMENTS`.
        seed: of the split into halves.

    Returns:
        Forecast.

    Raises:
        InputError: for pairs, names or numbers that cannot be used.
    """
    name, rule = rule_of(loss, placement)
    dim = require_count("dim", dim)
    require_count("seed", seed, low=0, high=2**32 - 1)
    for what, value in (("learning_rate", learning_rate), ("scale", scale)):
        if value is not None:
            require_range(what, value, 1e-300, 1e300)
    require_range("temperature", temperature, 1e-6)
    rule = _tempered(rule, temperature)
    first, second = _views(pairs)
    count = min(dim + max(dim // 2, 8), len(first) // 2 - 1)
    if dim > count:
        message = (
            f"dim {dim} needs more than {2 * dim + 2} pairs, to read modes on held-out ones; got "
            f"{len(first)}"
        )
        raise InputError(message)
    with float64():
        views = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
        if apply is None:
            nngp, gram = grams(encoder(kernel, first.shape[1:]), views)
            start = None
        else:
            gram, start = _empirical(apply, params, views, dim)
            nngp = None
        gram = (gram + gram.T) / 2
        modes = modes_of(gram, count, rule.centred)
        values, vectors = modes
        if not len(values):
            message = "no mode is positive: the two views share nothing that this kernel sees"
            raise InputError(message)
        held, errors = held_out(gram, len(values), rule.centred, np.random.default_rng(seed))
        ends = ends_of(gram, values, vectors, rule)
        unit, spread = _start(values, vectors, dim, nngp, start)
        lost = lost_dimensions(
            first, second, rule, dim, weight_decay=weight_decay, placement=placement
        )
        learnable = min(dim, len(values))
        scale = float(_START * ends[0] / unit[0]) if scale is None else float(scale)
        begins = scale * unit
        stable = float(stability_threshold(jnp.asarray(values * rule.signal / 2)))
        rate = _SHARE * stable if learning_rate is None else float(learning_rate)
        times = np.full(dim, np.inf)
        growth = 4 * rule.signal * values[:learnable]
        times[:learnable], rises, blur = _times(rule, values[:learnable], begins, ends[:learnable])
        delay = np.asarray(descent_delay(jnp.asarray(values[:learnable] * rule.signal / 2), rate))
        steps = times / rate
        steps[:learnable] *= delay
        rise_steps = np.full(dim, np.nan)
        rise_steps[:learnable] = rises / rate
        off = np.hypot(errors[:learnable], values[:learnable] - held[:learnable])
        relative = np.hypot(blur, spread / growth) / rate
        step_errors = np.full(dim, np.nan)
        step_errors[:learnable] = np.hypot(relative, steps[:learnable] * off / values[:learnable])
        estimate = error_estimate(
            float(np.clip(begins[0] / ends[0], 1e-300, 1)), jnp.asarray(values), dim
        )
    sure = held - Z * errors > 0
    worth = in_a_row(sure)
    settings = {
        "loss": name,
        "kernel": kernel if apply is None else "empirical, of the given encoder",
        "dim": dim,
        "pairs": len(first),
        "sample": " x ".join(map(str, first.shape[1:])),
        "modes computed": len(values),
        "temperature": temperature if rule.tempered else "none",
        "weight decay": weight_decay,
        "placement": placement,
        "seed": seed,
    }
    from jssl.practice.forecast_words import remarks, words

    found = Forecast(
        values,
        held,
        errors,
        times,
        steps,
        step_errors,
        rise_steps,
        rate,
        stable,
        scale,
        float(begins[0] / ends[0]),
        worth,
        bool(sure.all()) and len(values) == count,
        float(estimate.leakage),
        lost,
        (),
        (),
        settings,
    )
    told = remarks(found, rule, explain(estimate), apply is None)
    return found._replace(words=tuple(words(found)), remarks=tuple(told))


def _tempered(rule: Rule, temperature: float) -> Rule:
    if not rule.tempered:
        return rule
    return rule._replace(signal=rule.signal / temperature, quartic=rule.quartic / temperature**2)


def _views(pairs: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        first, second = pairs[:2]
    except (TypeError, ValueError) as error:
        message = "pairs must be Pairs, or two arrays of first and second views"
        raise InputError(message) from error
    views = [to_numpy(name, v) for name, v in (("first", first), ("second", second))]
    for name, v in zip(("first", "second"), views, strict=True):
        if v.dtype.kind not in "f":
            message = f"pairs.{name} must be floating point; convert {v.dtype} to float first"
            raise InputError(message)
    if max(len(v) if v.ndim else 0 for v in views) > MOST:
        message = f"at most {MOST:,} pairs, got {len(views[0]):,}; take a random subset"
        raise InputError(message)
    first, second = (v.astype(np.float64) for v in views)
    check_pairs(Pairs(first, second))  # type: ignore[arg-type]
    return first, second


def _empirical(
    apply: Callable[[Params, Array], Array], params: Params, views: Array, dim: int
) -> tuple[np.ndarray, np.ndarray]:
    start = np.asarray(jax.jit(apply)(params, views), np.float64)
    if start.shape != (len(views), dim):
        message = f"apply must return ({len(views)}, dim = {dim}); it returns {start.shape}"
        raise InputError(message)
    if not np.isfinite(start).all() or not start.any():
        message = "the encoder's embeddings at the start must be finite and not all zero"
        raise InputError(message)
    shapes = jax.eval_shape(lambda p: p, params)
    block = min(64, max(1, empirical.block_for(shapes, 2**29)))
    return np.asarray(empirical.empirical_ntk(apply, params, views, block=block)), start


def _start(
    values: np.ndarray,
    vectors: np.ndarray,
    dim: int,
    nngp: np.ndarray | None,
    start: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return s_j(0) of the encoder's own start, and the spread of log s_j(0)^2 over starts.

    Of an encoder that is given, the diagonal of R of its own start; else the typical one, exp of
    the mean logarithm of a chi-square with dim - j + 1 degrees of freedom.
    """
    top = vectors[:, : min(dim, len(values))]
    if start is not None:
        diagonal = np.abs(np.diag(np.linalg.qr(start.T @ top)[1]))
        return diagonal, np.zeros(len(diagonal))
    assert nngp is not None
    variance = np.maximum((top * (nngp @ top)).sum(0), 0)
    half = (dim - np.arange(top.shape[1])) / 2
    return np.sqrt(2 * variance * np.exp(digamma(half))), np.sqrt(polygamma(1, half))


def in_a_row(sure: np.ndarray) -> int:
    """Return how many entries hold before the first that does not.

    Example:
        >>> in_a_row(np.array([True, True, False, True]))
        2
    """
    return int(np.cumprod(sure).sum())


def _times(
    rule: Rule, values: np.ndarray, begins: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return when each mode is half learned, its rise, and how sure theory itself is of when."""
    rises = np.log(81) / (4 * rule.signal * values)
    if rule.off_diagonal < 1:
        seen = redundancy_staircase(
            jnp.asarray(begins), jnp.asarray(values), jnp.asarray(rule.off_diagonal)
        )
        times, blur = np.empty(len(values)), np.empty(len(values))
        order = np.asarray(seen.order)
        times[order], blur[order] = seen.times, seen.blur
        rises[order] /= np.asarray(seen.plateaus.growth[: len(values)])
        return times, rises, blur
    share = np.clip((begins / ends) ** 2, 1e-300, 0.5)
    times = np.log(1 / share - 1) / (4 * rule.signal * values)
    return times, rises, np.zeros(len(values))
