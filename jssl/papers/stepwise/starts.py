"""Generic small starts (S-13, S-14), the learning-rate limit (S-12), and runs with momentum."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl.comparison import compare
from jssl.data import pairs, toy
from jssl.errors import InputError
from jssl.figures import new_figure
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.outcome import Part, Settings
from jssl.papers.stepwise.linear import linear_problem
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import stepwise
from jssl.types import Array, Claim, Pairs, Rival, Trajectory, start_key

SPECTRUM = (1.0, 0.75, 0.56, 0.22, 0.15, 0.1)
"""Chosen so that the three exponents, .25, .51 and .61, and their rivals are far apart."""

DIM = 3
RATE = 0.01
SHARES = (0.8, 0.95, 1.04, 1.2)
"""Learning rates over 1 / (4 gamma_1)."""
ERRORS = {
    "weight": "largest distance of W(t) from its aligned solution",
    "eigenvalues": "largest error of an eigenvalue of C",
    "leakage": "part of the final weights outside the top modes",
}
"""Name in a claim's name -> the error that it measures."""
RIVALS = {
    "weight": [(1, "eigenvalues, twice as large"), (2, "leakage")],
    "eigenvalues": [(0, "weights, as if eigenvalues had an error of first order")],
    "leakage": [(0, "weights, set by the largest ratio of eigenvalues and not by the gap")],
}
"""Name of an error -> other errors, by their place in `ERRORS`, whose exponent is a rival."""


def error_exponents(settings: Settings) -> Part:
    """Fit the exponents of the errors of the aligned solution in the scale of a generic start.

    The generic and the aligned start are trained by the same gradient descent, so that the error of
    the finite step cancels. Exponents are slopes over a finite range of starts, averaged over
    seeds.
    """
    seeds = {"quick": 8, "paper": 64, "large": 512}[settings.scale]
    scales = jnp.geomspace(1e-3, 1e-7, 5)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 1), seeds)
    one = _error_function(toy.pairs_with_cross_moment(jnp.asarray(SPECTRUM)))
    errors = jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(scales, keys)
    logs = [np.log(np.asarray(values)).mean(axis=1) for values in errors]
    slopes = [np.polyfit(np.log(np.asarray(scales)), log, 1)[0] for log in logs]
    estimate = stepwise.error_estimate(jnp.float64(1e-3), jnp.asarray(SPECTRUM), DIM)
    expected = (estimate.weight_exponent, estimate.eigenvalue_exponent, estimate.leakage_exponent)
    claims = [
        close(
            f"stepwise/rate-{name}",
            f"From a generic small initialisation, the {error} scales with the predicted power of "
            "the initial scale.",
            "Simon et al. 2023, result 4.6; S-14 in docs/equations.md",
            float(exponent),
            slope,
            0.1,
            details="The value is the slope of log(error) against log(scale), averaged over "
            f"{seeds} seeds, for initial scales from 1e-3 to 1e-7. The tolerance covers the finite "
            "range: slopes of the theoretical error (S-14) fitted from 1e-4 to 1e-8 scatter by "
            "that much.",
            rivals=[
                *(
                    Rival(f"the exponent of the {other}", float(expected[k]))
                    for k, other in RIVALS[name]
                ),
                Rival("no dependence on the start", 0.0),
                Rival("in proportion to the start", 1.0),
            ],
        )
        for (name, error), exponent, slope in zip(ERRORS.items(), expected, slopes, strict=True)
    ]
    figure, (ax,) = new_figure(1)
    for name, log, exponent, marker in zip(ERRORS, logs, expected, "osd", strict=True):
        line = ax.loglog(scales, np.exp(log), marker, label=name)[0]
        anchor = np.exp(log[-1]) * (scales / scales[-1]) ** float(exponent)
        ax.loglog(scales, anchor, "--", color=line.get_color(), linewidth=1)
    ax.set_xlabel("initial scale")
    ax.set_ylabel("error")
    ax.legend(frameon=False)
    text = (
        "Errors of the aligned solution against the scale of a generic initialisation. Markers "
        f"are the geometric mean over {seeds} seeds, dashed lines the predicted powers."
    )
    title = "Errors of the aligned solution from generic initialisation"
    return Part(claims, [Figure("rates", title, text, figure)])


def _error_function(data: Pairs) -> Callable[[Array, Array], tuple[Array, Array, Array]]:
    """Return `errors(scale, key)`, which gives the errors in the order of `ERRORS`."""
    gamma = pairs.cross_moment(data)
    top = stepwise.modes(gamma, DIM)

    def observe(params: dict[str, Array], _: Pairs) -> dict[str, Array]:
        c = params["weight"] @ gamma @ params["weight"].T
        return {"weight": params["weight"], "eigenvalues": jnp.linalg.eigvalsh(c)}

    def errors(scale: Array, key: Array) -> tuple[Array, Array, Array]:
        problem = linear_problem(data, DIM, 1.0, RATE)
        weight = scale * problem.model.init(start_key(key))["weight"]
        start = stepwise.align(weight, top)
        aligned = stepwise.weight(0.0, start.start_scales, top, start.rotation)

        def from_weight(w: Array) -> Trajectory:
            model = problem.model._replace(init=lambda _: {"weight": w})
            return run(problem._replace(model=model), np.arange(0, 2401, 8), observe)(key)

        generic, ideal = from_weight(weight).observables, from_weight(aligned).observables
        distance = jnp.linalg.norm(generic["weight"] - ideal["weight"], axis=(1, 2)).max()
        spectral = jnp.abs(generic["eigenvalues"] - ideal["eigenvalues"]).max()
        end = generic["weight"][-1]
        leakage = jnp.linalg.norm(end - end @ top.eigenvectors.T @ top.eigenvectors)
        return distance, spectral, leakage

    return errors


def learning_rates(settings: Settings) -> Part:
    """Test the final weights below and above the learning rate 1 / (4 gamma_1)."""
    spectrum = jnp.array([1.0, 0.3, 0.1, 0.05])
    dim = 2
    data = toy.pairs_with_cross_moment(spectrum)
    gamma = pairs.cross_moment(data)
    limit = float(stepwise.stability_threshold(spectrum))
    shares = jnp.array(SHARES)

    def end(share: Array, key: Array) -> Array:
        problem = linear_problem(data, dim, 1e-3, share * limit)

        def observe(params: dict[str, Array], _: Pairs) -> dict[str, Array]:
            return {"weight": params["weight"]}

        return run(problem, [20_000], observe)(key).observables["weight"][-1]

    key = jax.random.fold_in(jax.random.key(settings.seed), 2)
    ends = jax.jit(jax.vmap(end, (0, None)))(shares, key)
    norms = np.sum(np.asarray(ends) ** 2, axis=(1, 2))
    excess = norms / float(stepwise.minimum_norm(spectrum, dim)) - 1
    sharpness = [float(stepwise.sharpness(w, gamma)) for w in ends]
    relative_sharpness = np.asarray(sharpness) * np.asarray(shares) * limit / 2
    return Part(_learning_rate_claims(excess, relative_sharpness), [])


def _learning_rate_claims(excess: np.ndarray, relative_sharpness: np.ndarray) -> list[Claim]:
    source = "Simon et al. 2023, proposition 4.3; S-12 in docs/equations.md"
    below = 8 * relative_sharpness[:2] / SHARES[:2]
    return [
        close(
            "stepwise/sharpness-below-limit",
            "At learning rates below 1/(4 gamma_1), the sharpness of the final weights is "
            "8 gamma_1.",
            source,
            8.0,
            float(below[np.argmax(np.abs(below - 8))]),
            8 * 1e-2,
            details="The sharpness is the largest eigenvalue of the Hessian of the loss. The "
            "measured value is in units of gamma_1, the worse of the two rates. The tolerance is "
            "the leakage of S-14, as for the norm of the weights.",
            rivals=[
                Rival("that of the loss of one order of the views", 4.0),
                Rival("that of a flat direction", 0.0),
            ],
        ),
        at_most(
            "stepwise/rate-below-limit",
            "At learning rates below 1/(4 gamma_1), training ends at the zero-loss solution of "
            "least norm.",
            source,
            1e-2,
            np.abs(excess[:2]).max(),
            details="The largest eigenvalue of Gamma is gamma_1. The learning rates are 0.8 and "
            "0.95 times 1/(4 gamma_1). The measured value is the larger relative difference of "
            "the squared norms. The bound is the leakage of S-14 from an initial scale of 1e-3 "
            "where the eigenvalues beside the gap have ratio 1/3: (1e-3)^(2/3).",
            rivals=[Rival("a limit of 1/(8 gamma_1): weights slide as above it", excess[3])],
        ),
        at_most(
            "stepwise/rate-above-limit-slides",
            "At learning rates below and above 1/(4 gamma_1), the sharpness of the final weights "
            "is at most 2 / learning rate.",
            source,
            0.02,
            float(np.max(relative_sharpness)) - 1,
            details="The sharpness is the largest eigenvalue of the Hessian of the loss. The "
            "learning rates are 0.8, 0.95, 1.04 and 1.2 times 1/(4 gamma_1). The measured value "
            "is the largest relative excess of the sharpness over 2 / learning rate. The bound "
            "leaves a margin of 2 %.",
            rivals=[Rival("training stays at the solution of least norm", SHARES[-1] - 1)],
        ),
        at_least(
            "stepwise/rate-above-limit-loses-top-modes",
            "At a learning rate of 1.2/(4 gamma_1), training ends at weights of larger norm than "
            "the zero-loss solution of least norm.",
            source,
            0.1,
            excess[3],
            details="At this learning rate the solution of least norm has sharpness 8 gamma_1 = "
            "1.2 x (2 / learning rate), so it is unstable. The measured value is the relative "
            "excess of the squared norm. The bound is ten times the leakage of S-14.",
            rivals=[Rival("the solution of least norm at every rate, as in gradient flow", 0.0)],
        ),
    ]


def no_time_under_momentum(settings: Settings) -> Part:
    """Test that comparing a run with momentum with a prediction raises an error."""
    data = toy.pairs_with_cross_moment(jnp.asarray(SPECTRUM))
    problem = linear_problem(data, DIM, 1e-3, RATE)
    key = jax.random.fold_in(jax.random.key(settings.seed), 3)
    prediction = stepwise.predict(problem, np.linspace(0, 1, 5), key)
    simulated = run(problem._replace(optimiser=optax.sgd(RATE, momentum=0.9)), [0, 50, 100])(key)
    raised = 0.0
    try:
        compare(prediction, simulated)
    except InputError:
        raised = 1.0
    claim = close(
        "stepwise/momentum-has-no-time",
        "A run with momentum has no gradient-flow time, so comparing it with a prediction raises "
        "an error.",
        "Requirement of jssl.comparison; not in the paper",
        1.0,
        raised,
        0.0,
        details="The measured value is 1 if `compare` raises InputError, and 0 otherwise.",
        rivals=[Rival("time is steps times learning rate, as without momentum", 0.0)],
    )
    return Part([claim], [])
