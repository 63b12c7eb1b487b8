r"""`jssl.predict`: the dimensions that an encoder will learn, their order, and their times.

The forecast combines the modes of the contrastive kernel A K c = eigenvalue c of the user's pairs
(S-15, S-16, by Lanczos), whose eigenvalues are also computed on held-out pairs; a small random
start of the encoder, whose mode j has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of
freedom; and the time at which each mode is half-learned,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 (signal eigenvalue_j - decay)),  steps = t / learning rate

corrected for the finite learning rate (`jssl.forecast.steps`). That is the limit of infinite width.
For networks of finite width, the outputs affect each other, and the times are those of the flow in
mode space (F-5, `jssl.forecast.finite`). Where the placement of the
augmentation is given, A is that of B = A0 - f C. Simon et al. 2023, arXiv 2303.15438. The
directions that an augmentation removes follow from Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.forecast.custom_loss import Loss, custom_ends, custom_rule, custom_steps
from jssl.forecast.encoders import kernels_of
from jssl.forecast.finite import Progress, check_size
from jssl.forecast.finite_steps import NETS, Job, finite_steps
from jssl.forecast.given_pairs import MOST as MOST
from jssl.forecast.given_pairs import channels_last, clean_views, two_views
from jssl.forecast.intervals import limit_intervals, padded
from jssl.forecast.lost_dimensions import lost_dimensions
from jssl.forecast.modes import modes_with_errors
from jssl.forecast.own_encoder import not_linear
from jssl.forecast.result import Forecast as Forecast
from jssl.forecast.rules import Rule, rule_of
from jssl.forecast.starts import start_of
from jssl.forecast.steps import ends_of, loss_pairings, steps_of
from jssl.forecast.summary import caveats_of, summary_of
from jssl.forecast.torch_encoder import TorchEncoder
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
    loss: str | Loss,
    dim: int,
    kernel: str = "mlp-relu-3",
    width: int | None = None,
    nets: int = NETS,
    apply: Callable[[Params, Array], Array] | None = None,
    params: Params = None,
    torch: Any = None,
    step: int = 0,
    simulate: int = 0,
    learning_rate: float | None = None,
    scale: float | None = None,
    temperature: float = 0.5,
    weight_decay: float = 0.0,
    placement: str = SIMCLR,
    clean_first: bool | None = None,
    seed: int = 0,
    progress: Progress | None = None,
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

    Without `width`, `apply` or `torch`, the forecast is for the limit of infinite width. With one
    of them, it is for networks of finite width, whose outputs affect each other (F-5): `steps` are
    then those of these networks, and `limit_steps` those of the limit.

    Args:
        pairs: Pairs, or two arrays (n, ...) of first and second views, of NumPy, JAX or PyTorch.
        loss: a name in `jssl.forecast.rules.RULES`, or an alias such as simclr, in any case; or a
            function `loss(za, zb) -> scalar` of two embeddings (n, dim), smooth at zero.
        dim: embedding dimension.
        kernel: `linear`, `mlp-<activation>-<layers>` or `conv-<activation>-<layers>`: the encoder
            in NTK parametrisation.
        width: hidden neurons or channels of `kernel`; None for the limit of infinite width.
        nets: number of random networks of that width, whose median and spread are the forecast.
        apply: `apply(params, x) -> z` (n, dim) of the user's encoder; its empirical tangent kernel
            and its initial embedding are then used instead of `kernel`.
        params: parameters of `apply` at the start of training, or at step `step`.
        torch: a PyTorch module (n, ...) -> (n, dim) in the place of `apply` and `params`.
        step: number of steps after which `params` were saved. The forecast is then for the
            remaining training, and its steps are counted from the start.
        simulate: number of these networks that are also trained, on the same pairs.
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
        seed: of the split of the pairs into halves, and of the random networks.
        progress: called with a description and the share that is done.

    Returns:
        Forecast.

    Raises:
        InputError: for pairs, names or numbers that cannot be used, an encoder that couples the
            rows of a batch, weight decay on an encoder that is not linear in its parameters, more
            modes and outputs than a forecast follows, and a simulation that would take longer than
            `jssl.forecast.simulated.LIMIT` seconds.
    """
    dim = require_count("dim", dim)
    require_count("seed", seed, low=0, high=2**32 - 1)
    step, simulate = require_count("step", step, low=0), require_count("simulate", simulate, low=0)
    _check_numbers(learning_rate, scale, temperature, weight_decay)
    if torch is not None:
        if apply is not None or params is not None:
            message = "pass torch=module alone, without apply and params"
            raise InputError(message)
        torch = TorchEncoder(torch)
    _check_encoder(kernel, width, apply, torch, step, simulate)
    if weight_decay and apply is None and torch is None and kernel != "linear":
        raise not_linear()
    own_loss = loss if callable(loss) else None
    first, second = two_views(pairs)
    notes: list[str] = []
    first, second = channels_last(first, second, kernel, apply is None and torch is None, notes)
    if isinstance(loss, str):
        name, rule = rule_of(loss, placement)
        rule = _tempered(rule, temperature)
        clean = clean_views(first, second, placement, clean_first)
    elif placement != SIMCLR:
        message = "a placement needs loss='simclr'"
        raise InputError(message)
    else:
        name, clean = getattr(loss, "__name__", "the given loss"), False
    count = _mode_count(dim, len(first))
    finite = width is not None or apply is not None or torch is not None
    if finite:
        check_size(count, dim)
    draws = np.random.default_rng(seed)
    with float64():
        views = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
        kernels = kernels_of(kernel, apply, params, torch, views, dim, weight_decay > 0)
        if own_loss is None:
            pairings = loss_pairings(rule, placement, clean)
        else:
            rule, pairings = custom_rule(own_loss, len(first), dim)
        modes = modes_with_errors(
            kernels.gram, count, rule.centred, draws, pairings.signal, placement
        )
        if own_loss is None:
            given = (kernels.gram, modes.values, modes.vectors, rule, pairings, dim, weight_decay)
            ends = ends_of(*given)
        else:
            ends = custom_ends(own_loss, kernels.gram, modes, rule, pairings, dim)
        start = start_of(modes, ends, kernels, dim, 1.0 if step else scale, draws)
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
        if own_loss is None:
            steps = steps_of(rule, modes.values, start.amplitudes, ends, dim, weight_decay, rate)
        else:
            steps = custom_steps(own_loss, kernels.gram, modes, start.amplitudes, ends, dim, rate)
        relative = float(start.amplitudes[0] / ends.scales[0])
        net = np.maximum(ends.net, 0)
        estimate = _error_estimate(np.clip(relative, 1e-300, 1), net, dim=dim)
        limit = padded(limit_intervals(steps, start.spread, rule, ends, modes), dim)
        job = Job(kernels, modes, rule, pairings, own_loss, ends, start, limit, rate)
        found = finite_steps(
            job,
            views,
            dim=dim,
            kernel=kernel,
            width=width,
            nets=nets,
            apply=apply,
            params=params,
            torch=torch,
            step=step,
            simulate=simulate,
            weight_decay=weight_decay,
            seed=seed,
            progress=progress,
        )
    distinguishable = modes.held_out - Z * modes.errors > ends.threshold
    shown = found.intervals
    forecast = Forecast(
        eigenvalues=modes.values,
        held_out=modes.held_out,
        errors=modes.errors,
        times=shown.steps * rate if len(found.networks) else _of_outputs(steps.times, dim, np.inf),
        steps=shown.steps,
        low=shown.low,
        high=shown.high,
        start_errors=shown.start_errors,
        width_errors=shown.width_errors,
        new_data_errors=shown.new_data_errors,
        limit_steps=limit.steps,
        networks=found.networks,
        simulated=found.simulated,
        rises=shown.rises,
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
            "kernel": "empirical, of the given encoder" if kernels.own else kernel,
            "width": width or 0,
            "dim": dim,
            **_settings(first, len(modes.values), placement, clean),
            "temperature": temperature if rule.tempered else "none",
            "weight decay": weight_decay,
            "step": step,
            "seed": seed,
        },
    )
    caveats = [*notes, *caveats_of(forecast, rule, explain(estimate), ends, kernels.own)]
    return forecast._replace(summary=tuple(summary_of(forecast, rule)), caveats=tuple(caveats))


def _check_encoder(
    kernel: str, width: int | None, apply: Any, torch: Any, step: int, simulate: int
) -> None:
    """Raise where arguments that describe the encoder contradict each other."""
    own = apply is not None or torch is not None
    if width is not None and own:
        message = "width belongs to kernel=; the given encoder has a width of its own"
        raise InputError(message)
    if step and not own:
        message = "step needs the parameters of a checkpoint: pass apply= and params="
        raise InputError(message)
    if simulate and (torch is not None or (width is None and apply is None)):
        message = (
            "simulate trains networks of jssl: pass width= (--width), or apply= and params=; a "
            f"{'PyTorch module' if torch is not None else f'kernel {kernel} without width'} "
            "cannot be trained here"
        )
        raise InputError(message)
    if simulate > 1 and apply is not None:
        message = "the given parameters are one network: pass simulate=1"
        raise InputError(message)


def _settings(first: np.ndarray, count: int, placement: str, clean: bool) -> dict[str, Any]:
    return {
        "pairs": len(first),
        "sample": " x ".join(map(str, first.shape[1:])),
        "modes computed": count,
        "placement": placement,
        "first views": _FIRST[clean, placement == SIMCLR],
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
