"""Generic small starts (S-13, S-14), too large a learning rate (S-12), and no time (momentum)."""

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
from jssl.types import Array, Pairs, Trajectory, start_key

SPECTRUM = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1)
DIM = 3


def rates(settings: Settings) -> Part:
    """Fit the exponents with which a generic start approaches its aligned one.

    Both are run by the same gradient descent, so the finite step cancels and the difference is
    the start's alone. Exponents are slopes over a finite range of starts (tolerance .1, from S-14:
    slopes fitted at 1e-4 ... 1e-8 scatter by that) averaged over seeds.
    """
    seeds = {"quick": 8, "paper": 64, "large": 512}[settings.scale]
    scales = jnp.geomspace(1e-3, 1e-7, 5)
    data = toy.pairs_with_cross_moment(jnp.asarray(SPECTRUM))
    gamma = pairs.cross_moment(data)
    top, rate = stepwise.modes(gamma, DIM), 0.01
    steps = np.arange(0, 2401, 8)

    def observe(params: dict[str, Array], _: Pairs) -> dict[str, Array]:
        c = params["weight"] @ gamma @ params["weight"].T
        return {"weight": params["weight"], "eigenvalues": jnp.linalg.eigvalsh(c)}

    def errors(scale: Array, key: Array) -> tuple[Array, Array, Array]:
        problem = linear_problem(data, DIM, 1.0, rate)
        weight = scale * problem.model.init(start_key(key))["weight"]
        start = stepwise.align(weight, top)
        aligned = stepwise.weight(0.0, start.start_scales, top, start.rotation)

        def from_weight(w: Array) -> Trajectory:
            model = problem.model._replace(init=lambda _: {"weight": w})
            return run(problem._replace(model=model), steps, observe)(key)

        generic, ideal = from_weight(weight).observables, from_weight(aligned).observables
        apart = jnp.linalg.norm(generic["weight"] - ideal["weight"], axis=(1, 2)).max()
        spectral = jnp.abs(generic["eigenvalues"] - ideal["eigenvalues"]).max()
        end = generic["weight"][-1]
        leak = jnp.linalg.norm(end - end @ top.eigenvectors.T @ top.eigenvectors)
        return apart, spectral, leak

    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 1), seeds)
    seen = jax.jit(jax.vmap(jax.vmap(errors, (None, 0)), (0, None)))(scales, keys)
    logs = [np.log(np.asarray(values)).mean(axis=1) for values in seen]
    slopes = [np.polyfit(np.log(np.asarray(scales)), log, 1)[0] for log in logs]
    estimate = stepwise.error_estimate(jnp.float64(1e-3), jnp.asarray(SPECTRUM), DIM)
    expected = (estimate.weight_exponent, estimate.eigenvalue_exponent, estimate.leakage_exponent)
    names = ("weight", "eigenvalues", "leakage")
    what = (
        "largest distance of W(t) from its aligned solution",
        "largest error of the eigenvalues of C",
        "part of the end state outside the top modes",
    )
    claims = [
        close(
            f"stepwise/rate-{name}",
            f"{text}: exponent in the scale of a generic start",
            "Simon et al. 2023, result 4.6; S-14",
            float(exponent),
            slope,
            0.1,
        )
        for name, text, exponent, slope in zip(names, what, expected, slopes, strict=True)
    ]
    figure, (ax,) = new_figure(1)
    for name, log, exponent, marker in zip(names, logs, expected, "osd", strict=True):
        line = ax.loglog(scales, np.exp(log), marker, label=name)[0]
        anchor = np.exp(log[-1]) * (scales / scales[-1]) ** float(exponent)
        ax.loglog(scales, anchor, "--", color=line.get_color(), linewidth=1)
    ax.set_xlabel("scale of the start")
    ax.set_ylabel("error")
    ax.legend(frameon=False)
    text = (
        f"Errors of the aligned solution against the scale of a generic start, mean of {seeds} "
        "seeds (markers), and the predicted powers (dashed)."
    )
    return Part(claims, [Figure("rates", "Approach to the aligned solution", text, figure)])


def learning_rates(settings: Settings) -> Part:
    """Judge the end state below and above the learning rate 1 / (4 gamma_1)."""
    spectrum = jnp.array([1.0, 0.3, 0.1, 0.05])
    dim = 2
    data = toy.pairs_with_cross_moment(spectrum)
    gamma = pairs.cross_moment(data)
    limit = float(stepwise.stability_threshold(spectrum))
    shares = jnp.array([0.8, 0.95, 1.04, 1.2])

    def end(share: Array, key: Array) -> Array:
        problem = linear_problem(data, dim, 1e-3, share * limit)

        def observe(params: dict[str, Array], _: Pairs) -> dict[str, Array]:
            return {"weight": params["weight"]}

        return run(problem, [20_000], observe)(key).observables["weight"][-1]

    key = jax.random.fold_in(jax.random.key(settings.seed), 2)
    ends = jax.jit(jax.vmap(end, (0, None)))(shares, key)
    norms = np.sum(np.asarray(ends) ** 2, axis=(1, 2))
    least = float(stepwise.minimum_norm(spectrum, dim))
    sharp = [float(stepwise.sharpness(w, gamma)) for w in ends]
    bound = float(np.max(np.asarray(sharp) * np.asarray(shares) * limit / 2))
    source = "Simon et al. 2023, proposition 4.3; S-12"
    # The leakage of S-14 from a start of 1e-3 with ratio 1/3 at the edge: (1e-3)^(2/3) = 1e-2.
    stable = np.abs(norms[:2] / least - 1).max()
    claims = [
        at_most(
            "stepwise/rate-below-limit",
            "learning rates of .8 and .95 x 1/(4 gamma_1): squared norm of the end state off the "
            "least norm, relative; the leakage of S-14",
            source,
            1e-2,
            stable,
        ),
        at_most(
            "stepwise/rate-above-limit-slides",
            "at every learning rate, above the limit as well: sharpness of the end state over "
            "2 / learning rate",
            source,
            1.02,
            bound,
        ),
        at_least(
            "stepwise/rate-above-limit-loses-top-modes",
            "at 1.2 x 1/(4 gamma_1) the least-norm solution has sharpness 8 gamma_1 = 1.2 x "
            "(2 / learning rate) and cannot be the end: excess squared norm, relative, more than "
            "ten times the leakage",
            source,
            0.1,
            norms[3] / least - 1,
        ),
    ]
    return Part(claims, [])


def no_time_under_momentum(settings: Settings) -> Part:
    """Judge that comparing a run under momentum with a prediction is refused."""
    data = toy.pairs_with_cross_moment(jnp.asarray(SPECTRUM))
    problem = linear_problem(data, DIM, 1e-3, 0.01)
    key = jax.random.fold_in(jax.random.key(settings.seed), 3)
    prediction = stepwise.predict(problem, np.linspace(0, 1, 5), key)
    simulated = run(problem._replace(optimiser=optax.sgd(0.01, momentum=0.9)), [0, 50, 100])(key)
    refused = 0.0
    try:
        compare(prediction, simulated)
    except InputError:
        refused = 1.0
    claim = close(
        "stepwise/momentum-has-no-time",
        "a run under momentum has no gradient-flow time: its comparison with a prediction is "
        "refused (1) and not made up (0)",
        "design of jssl",
        1.0,
        refused,
        0.0,
    )
    return Part([claim], [])
