"""The answer to a checked question: the numbers of a forecast, its sentences and its settings."""

from typing import TYPE_CHECKING, Any, Optional

import jax
import jax.numpy as jnp
import numpy as np

from jssl.forecast.caveats import OWN_KERNEL, caveats_of
from jssl.forecast.finite import Progress, final_eigenvalues
from jssl.forecast.finite_steps import Found, finite_steps, followed_flow
from jssl.forecast.fresh_views import FreshViews
from jssl.forecast.given_encoder import GivenEncoder
from jssl.forecast.limit import Limit, Question, limit_of, mode_count
from jssl.forecast.lost_dimensions import LostDimensions, lost_dimensions
from jssl.forecast.own_function import in_32_bits, in_own_dtype, without_other_leaves
from jssl.forecast.result import Forecast
from jssl.forecast.summary import summary_of
from jssl.forecast.values import without_steps
from jssl.precision import float64
from jssl.theory.landscape.dictionary import SIMCLR
from jssl.theory.landscape.estimate import Z
from jssl.theory.stepwise import explain

if TYPE_CHECKING:
    from jssl.forecast.own_flow import Followed

_FEW = 10  # samples times off-diagonal weight: below it, noise of fresh views slows later steps

_STABLE = 1.0  # default learning rate times the largest curvature; descent is unstable above 2

_FIRST = {
    (False, True): "as given",
    (False, False): "augmented",
    (True, True): "clean",
    (True, False): "clean",
}


def answer(
    question: Question,
    encoder: GivenEncoder,
    views: tuple[np.ndarray, np.ndarray],
    drawn: FreshViews | None,
    notes: list[str],
    temperature: float,
    progress: Progress | None,
) -> Forecast:
    """Return the forecast of a checked question, with its sentences and settings."""
    first, second = views
    few_bits = _of_few_bits(encoder)
    n = len(first) // question.draws
    with float64():
        both: Any = np.concatenate([first, second])
        encoder = _callable_on(encoder, both)
        limit = limit_of(question, encoder, both)
        if encoder.simulate and not encoder.step:
            from jssl.forecast.simulated_cost import require_affordable  # imports Optax

            require_affordable(limit, encoder, both, drawn)
        lost = lost_dimensions(
            first[:n],
            second[:n],
            limit.rule,
            question.dim,
            weight_decay=question.weight_decay,
            placement=question.placement,
            clean_first=question.clean,
        )
        followed = None
        if _can_follow(question, encoder):
            followed = followed_flow(limit, encoder, both, progress)
        if followed is not None and question.learning_rate is None:
            stable = _STABLE / followed.curvature
            if limit.rate > stable:
                question = question._replace(learning_rate=stable)
                limit = limit_of(question, encoder, both, limit.kernels)
        found = finite_steps(
            limit,
            encoder,
            both,
            followed,
            fresh=drawn,
            weight_decay=question.weight_decay,
            seed=question.seed,
            progress=progress,
        )
    forecast = _forecast(limit, found, lost, n, encoder)
    settings = _settings(question, encoder, first[:n], limit, temperature)
    settings |= _of_flow(followed, limit.rate, encoder.step)
    forecast = forecast._replace(settings=settings)
    if followed is not None:
        forecast = forecast._replace(curves=followed.curves(limit.rate, encoder.step))
    explanation = _explanation(limit, found)
    notes = [*notes, *few_bits, *_noise_of_views(limit.rule.off_diagonal, n, question.draws)]
    caveats = caveats_of(forecast, limit.rule, explanation, limit.ends, limit.kernels.own)
    forecast = without_steps(forecast)
    summary = summary_of(forecast, limit.rule)
    return forecast._replace(summary=tuple(summary), caveats=(*notes, *caveats))


def _can_follow(question: Question, encoder: GivenEncoder) -> bool:
    """Return whether the gradient flow of the user's own network on its pairs is what is asked."""
    network = encoder.apply is not None or encoder.torch is not None
    fixed = question.draws == 1 and question.placement == SIMCLR
    return network and fixed and not question.weight_decay


def _callable_on(encoder: GivenEncoder, views: Any) -> GivenEncoder:
    """Return the encoder, a function of arrays alone that takes the views in their dtype."""
    if encoder.apply is None or hasattr(encoder.apply, "state_dict"):
        return encoder
    apply, params = without_other_leaves(encoder.apply, encoder.params)
    params = in_32_bits(params)
    return encoder._replace(apply=in_own_dtype(apply, params, views), params=params)


def _explanation(limit: Limit, found: Found) -> str:
    """Return what the closed form of the limit misses, and where the exact loss ends.

    Outputs of a network of finite width leak into one another, and the closed form does not
    describe which subspace they learn.
    """
    followed = len(found.networks) > 0
    lines = [] if followed else [explain(limit.estimate)]
    steps, final = limit.leading_steps, limit.ends.leading
    if steps is not None and final is not None and np.isfinite(steps[0]):
        share = float((final[0] / limit.ends.scales[0]) ** 2)
        of_networks = (
            "Half-learned means half of the end of the leading terms of the loss. Under the exact "
            f"loss on Gaussian data, dimension 1 ends at {1 / share:.2g} times that."
        )
        of_limit = (
            "Final values are those of the exact loss on Gaussian data. The leading terms end at "
            f"{share:.2g} of that in dimension 1, and are at half of it by step {steps[0]:.3g}."
        )
        lines.append(of_networks if followed else of_limit)
    return " ".join(lines)


def _limit_steps(limit: Limit, found: Found, step: int) -> np.ndarray:
    """Return the steps of the limit at the same levels as those of the networks, from the start."""
    followed = len(found.networks) > 0 and limit.leading_steps is not None
    steps = limit.leading_steps if followed else limit.intervals.steps
    assert steps is not None
    return steps + step


def _forecast(
    limit: Limit, found: Found, lost: LostDimensions, pairs: int, encoder: GivenEncoder
) -> Forecast:
    """Return a forecast that has no sentences and no settings yet."""
    modes, shown = limit.modes, found.intervals
    distinguishable = modes.held_out - Z * modes.errors > limit.ends.threshold
    count = mode_count(len(shown.steps), pairs)
    return Forecast(
        eigenvalues=modes.values,
        held_out=modes.held_out,
        errors=modes.errors,
        times=shown.steps * limit.rate if len(found.networks) else limit.times,
        **shown._asdict(),
        final=final_eigenvalues(
            modes.values, limit.ends, len(shown.steps), leading=len(found.networks) > 0
        ),
        limit_steps=_limit_steps(limit, found, encoder.step),
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


def _of_few_bits(encoder: GivenEncoder) -> list[str]:
    """Return what is said of a network whose parameters have 16 bits."""
    leaves = jax.tree.leaves(encoder.params) if encoder.apply is not None else []
    if not any(getattr(leaf, "dtype", None) in (jnp.bfloat16, jnp.float16) for leaf in leaves):
        return []
    return [
        "Parameters of 16 bits were followed in float32. Training in 16 bits rounds small updates "
        "away and is slower, or learns nothing."
    ]


def _noise_of_views(off_diagonal: float, samples: int, draws: int) -> list[str]:
    """Return what is not covered where the views of a step vary more than the loss distinguishes.

    The mean over views of C_ii^2 exceeds the square of the mean by the variance, at most of order
    1 / samples; off the diagonal, the loss acts with `off_diagonal` alone.
    """
    if draws == 1 or off_diagonal * samples >= _FEW:
        return []
    return [
        f"With fresh views of {samples} samples, the noise of C in one step is not small against "
        f"the off-diagonal weight of {off_diagonal:g}. It is not part of the forecast: later "
        "dimensions come later, dimension 3 of networks on 60 digits by a factor of 3 to 7."
    ]


def _settings(
    question: Question,
    encoder: GivenEncoder,
    first: np.ndarray,
    limit: Limit,
    temperature: float,
) -> dict[str, Any]:
    kernel = OWN_KERNEL if encoder.own else encoder.kernel
    kernel = kernel if encoder.gram is None else "the given Gram matrix"
    return {
        "loss": question.name,
        "kernel": kernel,
        "width": encoder.width or 0,
        "dim": question.dim,
        "pairs": len(first),
        "views": f"fresh, from {question.draws} draws" if question.draws > 1 else "fixed pairs",
        "sample": " x ".join(map(str, first.shape[1:])),
        "modes computed": len(limit.modes.values),
        "placement": question.placement,
        "first views": _FIRST[question.clean, question.placement == SIMCLR],
        "temperature": temperature if limit.rule.tempered else "none",
        "weight decay": question.weight_decay,
        "step": encoder.step,
        "seed": question.seed,
    }


def _of_flow(followed: Optional["Followed"], rate: float, step: int) -> dict[str, Any]:
    """Return what was found along the gradient flow of the user's own network."""
    if followed is None:
        return {}
    return {
        "gradients of the flow": followed.gradients,
        "dimensions followed": int((~np.isnan(followed.times)).sum()),
        "largest curvature": followed.curvature,
        "steps followed": step + followed.reached / rate,
        "finite gradients": followed.finite,
    }


def in_a_row(holds: np.ndarray) -> int:
    """Return how many entries hold before the first that does not.

    Example:
        >>> in_a_row(np.array([True, True, False, True]))
        2
    """
    return int(np.cumprod(holds).sum())
