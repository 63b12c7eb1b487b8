r"""Before training: which dimensions an encoder will learn, in which order, when, and what is lost.

The modes of the contrastive kernel A K c = eigenvalue c of the user's own pairs (S-15, S-16, by
Lanczos), each read again on pairs that did not choose it; a small random start of the encoder,
whose mode j has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of freedom; and the time at
which each mode comes up,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 (signal eigenvalue_j - decay)),  steps = t / learning rate

stretched by the finite step: `forecast_steps`. Where the place of the augmentation is given, A is
that of B = A0 - f C. Simon et al. 2023, arXiv 2303.15438; what an augmentation takes away is the
landscape of Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.forecast.encoders import encoder, grams
from jssl.forecast.given_pairs import MOST as MOST
from jssl.forecast.given_pairs import clean_views, two_views
from jssl.forecast.lost_dimensions import Lost, lost_dimensions
from jssl.forecast.modes import held_out, modes_of
from jssl.forecast.own_encoder import OwnEncoder, read_encoder
from jssl.forecast.rules import Rule, rule_of
from jssl.forecast.starts import drawn_begins, own_begins
from jssl.forecast.starts import start_of as _start
from jssl.forecast.steps import (
    Ends,
    Steps,
    ends_of,
    read_of,
    steps_of,
)
from jssl.precision import float64
from jssl.single_use import compile_cheaply
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.stepwise import error_estimate, explain
from jssl.types import Array, Params

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

_SHARE = 0.1
_FIRST = {
    (False, True): "as given",
    (False, False): "augmented",
    (True, True): "clean",
    (True, False): "clean",
}
_START = 1e-3


class Forecast(NamedTuple):
    """What the theory says of training, mode by mode in the order of the eigenvalues.

    Attributes:
        eigenvalues: (count,) of the contrastive kernel of all pairs, or of B under a placement,
            descending, positive.
        held_out: (count,) the same modes of one half of the pairs read on the other half.
        errors: (count,) standard errors of `held_out`, given the modes of each half.
        times: (dim,) t = learning rate x step at which each dimension is half learned; infinite
            for those never learned.
        steps: (dim,) the same in steps of gradient descent.
        step_errors: (dim,) their standard errors, from the random start and the eigenvalues.
        rises: (dim,) steps in which each rises from 10 % to 90 % of its end.
        learning_rate: given, or a tenth of the largest stable one.
        stable_rate: the largest stable one from a small start: negative modes, and variance that
            the views do not share, lower it.
        scale: of the start, given or suggested, in units of the encoder's own.
        relative_start: size of the start of mode 1 over its end, its end without weight decay if
            it is not learned.
        worth: how many modes in a row, from the first, have an eigenvalue on held-out pairs that
            exceeds by 3.9 standard errors what weight decay takes (0 without): dimensions are
            learned in this order, and the next is not distinguishable from sampling noise.
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
    clean_first: bool | None = None,
    seed: int = 0,
) -> Forecast:
    """Say which dimensions an encoder will learn from pairs, in which order, and when.

    Example:
        >>> import jax
        >>> from jssl.data.toy import pairs_with_cross_moment
        >>> data = pairs_with_cross_moment([1.0, 0.5, 0.1], 200, key=jax.random.key(0))
        >>> seen = predict(data, loss="barlow_twins_linearized", dim=2, kernel="linear")
        >>> seen.eigenvalues[:3].round(3).tolist(), bool(seen.steps[0] < seen.steps[1])
        ([1.0, 0.5, 0.1], True)

    Args:
        pairs: Pairs, or two arrays (n, ...) of first and second views, of NumPy, JAX or PyTorch.
        loss: a name in `jssl.forecast.rules.RULES`, or an alias such as simclr.
        dim: embedding dimension.
        kernel: `linear`, `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`: the encoder
            at infinite width in NTK parametrisation.
        apply: `apply(params, x) -> z` (n, dim) of an encoder of one's own; its empirical tangent
            kernel and its own start are then used, and `kernel` is not. All outputs must have one
            kernel in common, as with a last dense layer.
        params: of `apply`, at the start of training.
        learning_rate: of gradient descent on the loss; None for a tenth of the largest stable one.
        scale: multiplies the encoder's initial embedding, > 0; None for a start of a thousandth of
            the end, small enough for separate steps.
        temperature: of losses that have one.
        weight_decay: >= 0, multiplies the squared norm of the parameters; of encoders that are
            linear in them only.
        placement: of the augmentation, for simclr: `jssl.theory.landscape.PLACEMENTS`. By default
            training sees the pairs as they are.
        clean_first: whether the pairs are (clean, augmented); None to find out where a placement is
            given.
        seed: of the split into halves.

    Returns:
        Forecast.

    Raises:
        InputError: for pairs, names or numbers that cannot be used, an encoder whose outputs have
            different kernels, and weight decay on an encoder that is not linear in its parameters.
    """
    name, rule = rule_of(loss, placement)
    dim = require_count("dim", dim)
    require_count("seed", seed, low=0, high=2**32 - 1)
    for what, value in (("learning_rate", learning_rate), ("scale", scale)):
        if value is not None:
            require_range(what, value, 1e-300, 1e300)
    require_range("temperature", temperature, 1e-6)
    require_range("weight_decay", weight_decay, 0, float(np.finfo(float).max))
    if weight_decay and apply is None and kernel != "linear":
        message = (
            "weight_decay needs an encoder that is linear in its parameters: in others it shrinks "
            "the tangent kernel; take kernel='linear', or weight_decay=0"
        )
        raise InputError(message)
    rule = _tempered(rule, temperature)
    first, second = two_views(pairs)
    clean = clean_views(first, second, placement, clean_first)
    count = min(dim + max(dim // 2, 8), len(first) // 2 - 1)
    if dim > count:
        message = (
            f"dim {dim} needs more than {2 * dim + 2} pairs, to read modes on held-out ones; got "
            f"{len(first)}"
        )
        raise InputError(message)
    draws = np.random.default_rng(seed)
    with float64():
        views = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
        own: OwnEncoder | None = None
        nngp: np.ndarray | None = None
        if apply is None:
            nngp, gram = grams(encoder(kernel, first.shape[1:]), views)
        else:
            own = read_encoder(apply, params, views, dim, decayed=weight_decay > 0)
            gram = own.gram
        gram = (gram + gram.T) / 2
        read = read_of(rule, placement, clean)
        values, vectors = modes_of(gram, count, rule.centred, read.signal)
        if not len(values):
            message = "no mode is positive: the two views share nothing that this kernel sees"
            if placement != SIMCLR:
                message = f"no mode is positive under {placement}: the augmentation takes all"
            raise InputError(message)
        held, errors = held_out(gram, len(values), rule.centred, draws, read.signal)
        ends = ends_of(gram, values, vectors, rule, read, dim, weight_decay)
        start = None if own is None else own.start
        unit, spread = _start(values, vectors, dim, nngp, start)
        scale = float(_START * ends.scales[0] / unit[0]) if scale is None else float(scale)
        if own is None:
            assert nngp is not None
            given = (unit, spread, scale, vectors, nngp, dim, ends, draws)
            begins, spread = drawn_begins(*given)
        else:
            begins = own_begins(own, vectors, scale, ends, unit)
        lost = lost_dimensions(
            first,
            second,
            rule,
            dim,
            weight_decay=weight_decay,
            placement=placement,
            clean_first=clean,
        )
        stable = 2 / ends.curvature if ends.curvature > 0 else float("inf")
        rate = _SHARE * stable if learning_rate is None else float(learning_rate)
        seen = steps_of(rule, values, begins, ends, dim, weight_decay, rate)
        relative = float(begins[0] / ends.scales[0])
        estimate = _error_estimate(np.clip(relative, 1e-300, 1), np.maximum(ends.net, 0), dim=dim)
    sure = held - Z * errors > ends.threshold
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
        "first views": _FIRST[clean, placement == SIMCLR],
        "seed": seed,
    }
    found = Forecast(
        values,
        held,
        errors,
        _of_outputs(seen.times, dim, np.inf),
        _of_outputs(seen.steps, dim, np.inf),
        _of_outputs(_step_errors(seen, spread, rule, ends, (values, held, errors)), dim, np.nan),
        _of_outputs(np.where(np.isfinite(seen.steps), seen.rises, np.nan), dim, np.nan),
        rate,
        stable,
        scale,
        relative,
        in_a_row(sure),
        bool(sure.all()) and len(values) == count,
        float(estimate.leakage),
        lost,
        (),
        (),
        settings,
    )
    from jssl.forecast.summary import remarks, words

    told = remarks(found, rule, explain(estimate), ends, own)
    return found._replace(words=tuple(words(found, rule)), remarks=tuple(told))


_error_estimate = compile_cheaply(error_estimate, static_argnames="dim")


def _of_outputs(of_modes: np.ndarray, dim: int, missing: float) -> np.ndarray:
    """Return (dim,) of (k,), k <= dim."""
    return np.append(of_modes, np.full(dim - len(of_modes), missing))


def _step_errors(
    seen: Steps, spread: np.ndarray, rule: Rule, ends: Ends, held: tuple[np.ndarray, ...]
) -> np.ndarray:
    """Return (k,) standard errors of the steps: of theory, of the random start, of eigenvalues."""
    values, on_held, errors = held
    k = len(seen.steps)
    known = np.isfinite(seen.steps)
    off = np.hypot(errors[:k], values[:k] - on_held[:k])
    share = rule.signal * off / np.where(known, ends.net[:k], 1)
    rises, steps, blur = (np.where(known, x, 0) for x in (seen.rises, seen.steps, seen.blur))
    start = spread * rises / np.log(81)  # the growth a step is log(81) / rise
    error = np.hypot(np.hypot(blur, start), steps * share)
    return np.where(known, error, np.nan)


def _tempered(rule: Rule, temperature: float) -> Rule:
    if not rule.tempered:
        return rule
    square = temperature**2
    return rule._replace(
        signal=rule.signal / temperature, quartic=rule.quartic / square, own=rule.own / square
    )


def in_a_row(sure: np.ndarray) -> int:
    """Return how many entries hold before the first that does not.

    Example:
        >>> in_a_row(np.array([True, True, False, True]))
        2
    """
    return int(np.cumprod(sure).sum())
