r"""`jssl.predict`: the dimensions that an encoder will learn, their order, and their times.

The forecast combines the modes of the contrastive kernel A K c = eigenvalue c of the user's pairs
(S-15, S-16, by Lanczos), whose eigenvalues are also computed on held-out pairs; a small random
start of the encoder, whose mode j has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of
freedom; and the time at which each mode is half-learned,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 (signal eigenvalue_j - decay)),  steps = t / learning rate

corrected for the finite learning rate (`jssl.forecast.steps`). Where the placement of the
augmentation is given, A is that of B = A0 - f C. Simon et al. 2023, arXiv 2303.15438. The
directions that an augmentation removes follow from Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.forecast.encoders import kernels_of
from jssl.forecast.given_pairs import MOST as MOST
from jssl.forecast.given_pairs import clean_views, two_views
from jssl.forecast.lost_dimensions import lost_dimensions
from jssl.forecast.modes import Modes, modes_with_errors
from jssl.forecast.own_encoder import not_linear
from jssl.forecast.result import Forecast as Forecast
from jssl.forecast.rules import Rule, rule_of
from jssl.forecast.starts import Start, start_of
from jssl.forecast.steps import Ends, Steps, ends_of, loss_pairings, step_errors, steps_of
from jssl.forecast.summary import caveats_of, summary_of
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
    """Predict which dimensions an encoder will learn from pairs, in which order, and when.

    Example:
        >>> import jax
        >>> from jssl.data.toy import pairs_with_cross_moment
        >>> data = pairs_with_cross_moment([1.0, 0.5, 0.1], 200, key=jax.random.key(0))
        >>> forecast = predict(data, loss="barlow_twins_linearized", dim=2, kernel="linear")
        >>> forecast.eigenvalues[:3].round(3).tolist()
        [1.0, 0.5, 0.1]
        >>> bool(forecast.steps[0] < forecast.steps[1])
        True

    Args:
        pairs: Pairs, or two arrays (n, ...) of first and second views, of NumPy, JAX or PyTorch.
        loss: a name in `jssl.forecast.rules.RULES`, or an alias such as simclr.
        dim: embedding dimension.
        kernel: `linear`, `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`: the encoder
            at infinite width in NTK parametrisation.
        apply: `apply(params, x) -> z` (n, dim) of the user's encoder; its empirical tangent kernel
            and its initial embedding are then used instead of `kernel`. All outputs must share
            one kernel, as with a last dense layer.
        params: parameters of `apply` at the start of training.
        learning_rate: of gradient descent on the loss; None for a tenth of the largest stable one.
        scale: multiplies the encoder's initial embedding, > 0; None for an initial amplitude
            of a thousandth of the final one, small enough for separate steps.
        temperature: for losses that use one.
        weight_decay: >= 0, factor of the squared norm of the parameters; only for encoders that
            are linear in them.
        placement: of the augmentation, for simclr, one of `jssl.theory.landscape.PLACEMENTS`. By
            default training uses the pairs unchanged.
        clean_first: whether the pairs are (clean, augmented); None to estimate it, if a placement
            is given.
        seed: of the split of the pairs into halves.

    Returns:
        Forecast.

    Raises:
        InputError: for pairs, names or numbers that cannot be used, an encoder whose outputs have
            different kernels, and weight decay on an encoder that is not linear in its parameters.
    """
    name, rule = rule_of(loss, placement)
    dim = require_count("dim", dim)
    require_count("seed", seed, low=0, high=2**32 - 1)
    _check_numbers(learning_rate, scale, temperature, weight_decay)
    if weight_decay and apply is None and kernel != "linear":
        raise not_linear()
    rule = _tempered(rule, temperature)
    first, second = two_views(pairs)
    clean = clean_views(first, second, placement, clean_first)
    count = _mode_count(dim, len(first))
    draws = np.random.default_rng(seed)
    with float64():
        views = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
        kernels = kernels_of(kernel, apply, params, views, dim, weight_decay > 0)
        pairings = loss_pairings(rule, placement, clean)
        modes = modes_with_errors(
            kernels.gram, count, rule.centred, draws, pairings.signal, placement
        )
        arguments = (kernels.gram, modes.values, modes.vectors, rule, pairings, dim, weight_decay)
        ends = ends_of(*arguments)
        start = start_of(modes, ends, kernels, dim, scale, draws)
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
        steps = steps_of(rule, modes.values, start.amplitudes, ends, dim, weight_decay, rate)
        relative = float(start.amplitudes[0] / ends.scales[0])
        net = np.maximum(ends.net, 0)
        estimate = _error_estimate(np.clip(relative, 1e-300, 1), net, dim=dim)
    distinguishable = modes.held_out - Z * modes.errors > ends.threshold
    forecast = Forecast(
        **_by_dimension(modes, ends, start, steps, rule, dim),
        learning_rate=rate,
        stable_rate=stable,
        scale=start.scale,
        relative_start=relative,
        distinguishable=in_a_row(distinguishable),
        all_distinguishable=bool(distinguishable.all()) and len(modes.values) == count,
        leakage=float(estimate.leakage),
        lost=lost,
        summary=(),
        caveats=(),
        settings={
            "loss": name,
            "kernel": kernel if apply is None else "empirical, of the given encoder",
            "dim": dim,
            **_settings(first, len(modes.values), placement, clean),
            "temperature": temperature if rule.tempered else "none",
            "weight decay": weight_decay,
            "seed": seed,
        },
    )
    caveats = caveats_of(forecast, rule, explain(estimate), ends, kernels.own)
    return forecast._replace(summary=tuple(summary_of(forecast, rule)), caveats=tuple(caveats))


def _settings(first: np.ndarray, count: int, placement: str, clean: bool) -> dict[str, Any]:
    return {
        "pairs": len(first),
        "sample": " x ".join(map(str, first.shape[1:])),
        "modes computed": count,
        "placement": placement,
        "first views": _FIRST[clean, placement == SIMCLR],
    }


def _by_dimension(
    modes: Modes, ends: Ends, start: Start, steps: Steps, rule: Rule, dim: int
) -> dict[str, Any]:
    """Return the arrays of a forecast; dimensions without a mode are never learned."""
    errors = step_errors(steps, start.spread, rule, ends, modes)
    return {
        "eigenvalues": modes.values,
        "held_out": modes.held_out,
        "errors": modes.errors,
        "times": _of_outputs(steps.times, dim, np.inf),
        "steps": _of_outputs(steps.steps, dim, np.inf),
        "step_errors": _of_outputs(errors, dim, np.nan),
        "rises": _of_outputs(np.where(np.isfinite(steps.steps), steps.rises, np.nan), dim, np.nan),
    }


def _check_numbers(
    learning_rate: float | None, scale: float | None, temperature: float, weight_decay: float
) -> None:
    for what, value in (("learning_rate", learning_rate), ("scale", scale)):
        if value is not None:
            require_range(what, value, 1e-300, 1e300)
    require_range("temperature", temperature, 1e-6)
    require_range("weight_decay", weight_decay, 0, float(np.finfo(float).max))


def _mode_count(dim: int, pairs: int) -> int:
    """Return the number of modes to compute: more than `dim`, and fewer than half of the pairs."""
    count = min(dim + max(dim // 2, 8), pairs // 2 - 1)
    if dim > count:
        message = (
            f"dim {dim} needs more than {2 * dim + 2} pairs, since half of them are held out; got "
            f"{pairs}"
        )
        raise InputError(message)
    return count


_error_estimate = compile_cheaply(error_estimate, static_argnames="dim")


def _of_outputs(of_modes: np.ndarray, dim: int, missing: float) -> np.ndarray:
    """Return (dim,) of (k,), k <= dim."""
    return np.append(of_modes, np.full(dim - len(of_modes), missing))


def _tempered(rule: Rule, temperature: float) -> Rule:
    if not rule.tempered:
        return rule
    square = temperature**2
    return rule._replace(
        signal=rule.signal / temperature, quartic=rule.quartic / square, own=rule.own / square
    )


def in_a_row(holds: np.ndarray) -> int:
    """Return how many entries hold before the first that does not.

    Example:
        >>> in_a_row(np.array([True, True, False, True]))
        2
    """
    return int(np.cumprod(holds).sum())
