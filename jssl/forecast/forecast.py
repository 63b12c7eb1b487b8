r"""`jssl.predict`: the dimensions that an encoder will learn, their order, and their times.

The forecast combines the modes of the contrastive kernel A K c = eigenvalue c of the user's pairs
(S-15, S-16, by Lanczos), whose eigenvalues are also computed on held-out pairs; a small random
start of the encoder, whose mode j has s_j(0)^2 = scale^2 v_j chi^2 with dim - j + 1 degrees of
freedom; and the time at which each mode is half-learned,

    t_j = log(s_j(end)^2 / s_j(0)^2) / (4 (signal eigenvalue_j - decay)),  steps = t / learning rate

corrected for the finite learning rate (`jssl.forecast.steps`). That is the limit of infinite width
(`jssl.forecast.limit`). In networks of finite width, the outputs affect each other, and the times
are those of the flow in mode space (F-5, `jssl.forecast.finite`). Where the placement of the
augmentation is given, A is that of B = A0 - f C. Simon et al. 2023, arXiv 2303.15438. The
directions that an augmentation removes follow from Ziyin et al. 2023, arXiv 2210.00638.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.forecast.custom_loss import Loss
from jssl.forecast.finite import Progress, check_size, final_eigenvalues
from jssl.forecast.finite_steps import Found, finite_steps
from jssl.forecast.given_encoder import GivenEncoder, given_encoder
from jssl.forecast.given_pairs import MOST as MOST
from jssl.forecast.given_pairs import channels_last, clean_views, two_views
from jssl.forecast.limit import Limit, Question, limit_of, mode_count
from jssl.forecast.lost_dimensions import LostDimensions, lost_dimensions
from jssl.forecast.result import Forecast as Forecast
from jssl.forecast.rules import Rule, rule_of
from jssl.forecast.summary import caveats_of, summary_of
from jssl.precision import float64
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.stepwise import explain
from jssl.types import Array, Params

Z = 3.9
"""Standard errors of a two-sided test at 1e-4."""

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
    nets: int = 8,
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
    _check_numbers(learning_rate, scale, temperature, weight_decay)
    encoder = given_encoder(kernel, width, nets, apply, params, torch, step, simulate, weight_decay)
    first, second = two_views(pairs)
    notes: list[str] = []
    first, second = channels_last(first, second, kernel, not encoder.own, notes)
    if isinstance(loss, str):
        name, rule = rule_of(loss, placement)
        asked: tuple[str, Rule | None, Loss | None] = (name, _tempered(rule, temperature), None)
        clean = clean_views(first, second, placement, clean_first)
    elif callable(loss) and placement == SIMCLR:
        asked, clean = (getattr(loss, "__name__", "the given loss"), None, loss), False
    else:
        message = "loss must be a name or a function of two embeddings; a placement needs simclr"
        raise InputError(message)
    decay = weight_decay
    question = Question(*asked, placement, clean, dim, decay, learning_rate, scale, seed)
    if encoder.finite:
        check_size(mode_count(dim, len(first)), dim)
    with float64():
        views = jnp.concatenate([jnp.asarray(first), jnp.asarray(second)])
        limit = limit_of(question, encoder, views)
        lost = lost_dimensions(
            first,
            second,
            limit.rule,
            dim,
            weight_decay=decay,
            placement=placement,
            clean_first=clean,
        )
        given: dict[str, Any] = {"weight_decay": decay, "seed": seed, "progress": progress}
        found = finite_steps(limit, encoder, views, **given)
    forecast = _forecast(limit, found, lost)
    settings = _settings(question, encoder, first, limit, temperature)
    forecast = forecast._replace(settings=settings)
    explanation = explain(limit.estimate)
    caveats = caveats_of(forecast, limit.rule, explanation, limit.ends, limit.kernels.own)
    summary = summary_of(forecast, limit.rule)
    return forecast._replace(summary=tuple(summary), caveats=(*notes, *caveats))


def _forecast(limit: Limit, found: Found, lost: LostDimensions) -> Forecast:
    """Return a forecast that has no sentences and no settings yet."""
    modes, shown = limit.modes, found.intervals
    distinguishable = modes.held_out - Z * modes.errors > limit.ends.threshold
    count = mode_count(len(shown.steps), modes.vectors.shape[0] // 2)
    return Forecast(
        eigenvalues=modes.values,
        held_out=modes.held_out,
        errors=modes.errors,
        times=shown.steps * limit.rate if len(found.networks) else limit.times,
        **shown._asdict(),
        final=final_eigenvalues(modes.values, limit.ends, len(shown.steps)),
        limit_steps=limit.intervals.steps,
        networks=found.networks,
        simulated=found.simulated,
        learning_rate=limit.rate,
        stable_rate=limit.stable_rate,
        scale=limit.start.scale,
        relative_start=limit.relative_start,
        distinguishable=in_a_row(distinguishable),
        all_distinguishable=bool(distinguishable.all()) and len(modes.values) == count,
        leakage=float(limit.estimate.leakage),
        lost=lost,
        summary=(),
        caveats=(),
        settings={},
    )


def _settings(
    question: Question,
    encoder: GivenEncoder,
    first: np.ndarray,
    limit: Limit,
    temperature: float,
) -> dict[str, Any]:
    return {
        "loss": question.name,
        "kernel": "empirical, of the given encoder" if encoder.own else encoder.kernel,
        "width": encoder.width or 0,
        "dim": question.dim,
        "pairs": len(first),
        "sample": " x ".join(map(str, first.shape[1:])),
        "modes computed": len(limit.modes.values),
        "placement": question.placement,
        "first views": _FIRST[question.clean, question.placement == SIMCLR],
        "temperature": temperature if limit.rule.tempered else "none",
        "weight decay": question.weight_decay,
        "step": encoder.step,
        "seed": question.seed,
    }


def _check_numbers(
    learning_rate: float | None, scale: float | None, temperature: float, weight_decay: float
) -> None:
    for what, value in (("learning_rate", learning_rate), ("scale", scale)):
        if value is not None:
            require_range(what, value, 1e-300, 1e300)
    require_range("temperature", temperature, 1e-6)
    require_range("weight_decay", weight_decay, 0, float(np.finfo(float).max))


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
