"""Linear encoders on images: orthonormal weights keep dimensions that collapse without them."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl import losses
from jssl.data import images, pairs, views
from jssl.diagnostics import effective_rank, ridge_probe
from jssl.figures import new_figure
from jssl.models import linear
from jssl.optim import gradient_descent, grassmann_sgd, orthonormal_start
from jssl.papers.claims import at_least, at_most, close
from jssl.papers.grassmann.exact import ROWS
from jssl.papers.outcome import Part, Settings
from jssl.papers.sets import LABELS
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.single_use import compile_for_many_steps
from jssl.theory import grassmann
from jssl.types import Array, Claim, Pairs, Params, Problem, Rival

SOURCE = "Esser et al. 2023, arXiv 2309.02011, section 6"
DIM, COUNT, TEST, NOISE, SHARE = 8, 500, 1000, 0.1, 0.1
KINDS = {"constrained": "orthonormal weights", "naive": "no constraint"}


class Encoders(NamedTuple):
    """Effective rank and probe accuracy of both encoders over training.

    Attributes:
        t: (points,) effective time.
        rank: kind -> (points,) effective rank on training images.
        accuracy: kind -> (points,) accuracy of the probe on test images.
        predicted_rank: effective rank at the end of the exact flow with orthonormal weights.
        tolerance: twice its largest relative change if the end comes earlier or later by `SHARE`,
            the relative error of times by a finite step.
    """

    t: np.ndarray
    rank: Mapping[str, np.ndarray]
    accuracy: Mapping[str, np.ndarray]
    predicted_rank: float
    tolerance: float


def constrained_against_naive(name: str, settings: Settings) -> Part:
    """Test effective rank and probe accuracy of linear encoders on one image set."""
    encoders = train(name, settings)
    label = LABELS[name]
    figure, axes = new_figure(2)
    for ax, values, quantity in zip(
        axes,
        (encoders.rank, encoders.accuracy),
        ("effective rank", "probe accuracy"),
        strict=True,
    ):
        for kind, word in KINDS.items():
            ax.semilogx(encoders.t, values[kind], label=word)
        ax.set(xlabel="effective time t = learning rate × step", ylabel=quantity, ylim=(0, None))
        ax.legend(frameon=False)
    text = (
        f"Effective rank and probe accuracy of linear encoders with {DIM} outputs on {label}. "
        "Orthonormal weights keep the dimensions; without a constraint only one remains."
    )
    title = f"Dimensions kept and lost on {label}"
    return Part(_claims(name, encoders), [Figure(f"images-{name}", title, text, figure)])


def train(name: str, settings: Settings) -> Encoders:
    """Minimise the non-contrastive loss of noisy crops, with and without orthonormal weights.

    Training ends when the predicted s2 / s1 of the encoder without a constraint is e^-12. The ridge
    of the probe makes it insensitive to outputs that small.
    """
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 61), 4)
    x, labels = _images(name, keys[0])
    move = views.shift(1) if name == "digits" else views.crop(0.5)
    view = views.compose(move, views.noise(NOISE))
    data = pairs.flatten(pairs.make_pairs(keys[1], x[:COUNT], view))
    flat = x.reshape(len(x), -1)
    objective = grassmann.objective_matrix(data)
    time = 12 / float(grassmann.collapse_rate(objective))
    rate = SHARE * float(grassmann.stable_learning_rate(objective))
    steps = np.unique(np.geomspace(1, time / rate, 40).astype(int))
    problems = _problems(data, flat.shape[1], rate)

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        weight = params["weight"] / jnp.linalg.norm(params["weight"])
        z = flat @ weight.T
        train, test = z[:COUNT], z[COUNT:]
        accuracy = ridge_probe(train, labels[:COUNT], test, labels[COUNT:], classes=10)
        return {"accuracy": accuracy, "rank": effective_rank(train)}

    observed = {}
    for kind, problem in problems.items():
        # The loss computed from C: one (d, d) product instead of products with both views.
        quadratic = problem._replace(
            objective=lambda params, *_: jnp.sum((params["weight"] @ objective) * params["weight"])
        )
        trajectory = compile_for_many_steps(run(quadratic, steps, observe), products=True)(keys[2])
        observed[kind] = {k: np.asarray(v) for k, v in trajectory.observables.items()}
    start = grassmann.read(problems["constrained"], keys[2]).weight
    end = rate * float(steps[-1])
    ranks = [
        float(effective_rank(flat[:COUNT] @ grassmann.subspace(objective, start, share * end)))
        for share in (1, 1 - SHARE, 1 + SHARE)
    ]
    return Encoders(
        steps * rate,
        {kind: observed[kind]["rank"] for kind in KINDS},
        {kind: observed[kind]["accuracy"] for kind in KINDS},
        ranks[0],
        2 * max(abs(rank / ranks[0] - 1) for rank in ranks),
    )


def _images(name: str, key: Array) -> tuple[Array, Array]:
    """Return images, centred by the training images, and their labels."""
    chosen = images.subset(key, images.load(name), COUNT + TEST)
    x = jnp.asarray(chosen.x.astype(np.float64))
    return x - x[:COUNT].mean(0), jnp.asarray(chosen.labels)


def _problems(data: Pairs, features: int, rate: float) -> dict[str, Problem]:
    base = linear(features, DIM, dtype=jnp.float64)
    return {
        "constrained": Problem(
            pairs.fixed(data),
            orthonormal_start(base, ROWS),
            losses.get("linear_non_contrastive"),
            grassmann_sgd(rate, manifold=ROWS),
        ),
        "naive": Problem(
            pairs.fixed(data),
            base,
            losses.get("linear_non_contrastive"),
            gradient_descent(rate),
        ),
    }


def _claims(name: str, encoders: Encoders) -> list[Claim]:
    label = LABELS[name]
    kept, lost = (encoders.accuracy[kind][-1] for kind in ("constrained", "naive"))
    noise = np.sqrt((kept * (1 - kept) + lost * (1 - lost)) / TEST)
    return [
        at_most(
            f"grassmann/images-naive-rank-{name}",
            f"Without a constraint, the outputs of a linear encoder on {label} collapse to "
            "effective rank one.",
            SOURCE,
            0.01,
            encoders.rank["naive"][-1] - 1,
            details=f"The measured value is the excess over one of the effective rank of {DIM} "
            f"outputs at the end of training on {COUNT} images.",
            rivals=[
                Rival("the rank of orthonormal weights", encoders.rank["constrained"][-1] - 1),
                Rival("the rank of the start is kept", encoders.rank["naive"][0] - 1),
            ],
        ),
        close(
            f"grassmann/images-constrained-rank-{name}",
            f"With orthonormal weights, a linear encoder on {label} has the effective rank "
            "predicted by the exact flow.",
            SOURCE,
            1.0,
            encoders.rank["constrained"][-1] / encoders.predicted_rank,
            encoders.tolerance,
            details=f"The measured value is the effective rank of {DIM} outputs at the end of "
            "training, divided by the prediction. A finite step changes times by a relative "
            f"{SHARE:g} at most, and the tolerance is twice the effect of that.",
            rivals=[
                Rival(
                    "collapse to one dimension, as without constraint", 1 / encoders.predicted_rank
                ),
                Rival("equal strength of all outputs", DIM / encoders.predicted_rank),
            ],
        ),
        at_least(
            f"grassmann/images-probe-{name}",
            f"On {label}, a linear probe is more accurate with an encoder of orthonormal weights "
            "than with an unconstrained encoder.",
            SOURCE,
            3.9 * float(noise),
            kept - lost,
            details=f"The measured value is the difference of the accuracies on {TEST} test "
            "images. The bound is 3.9 standard errors of the difference.",
            rivals=[Rival("collapsed dimensions hold no information on the labels", 0.0)],
            standard_error=float(noise),
        ),
    ]
