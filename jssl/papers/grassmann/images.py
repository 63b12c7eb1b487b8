"""Real images: orthonormal outputs keep what descent without a constraint loses."""

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
from jssl.report.figure import Figure
from jssl.simulation import run
from jssl.theory import grassmann
from jssl.types import Array, Pairs, Params, Problem

SOURCE = "Esser et al. 2023, section 6"
DIM, COUNT, TEST, NOISE, SHARE = 8, 500, 1000, 0.1, 0.1


def constrained_against_naive(name: str, settings: Settings) -> Part:
    """Judge effective rank and probe accuracy of linear encoders on images.

    Both minimise the non-contrastive loss of crops and noise until the exact flow says that s2 / s1
    of the naive one is e^-12; the ridge of the probe does not read what is that small. A share p of
    m test images has a standard error sqrt(p (1 - p) / m).
    """
    keys = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 61), 4)
    chosen = images.subset(keys[0], images.load(name), COUNT + TEST)
    x = jnp.asarray(chosen.x.astype(np.float64))
    x = x - x[:COUNT].mean(0)
    labels = jnp.asarray(chosen.labels)
    move = views.shift(1) if name == "digits" else views.crop(0.5)
    view = views.compose(move, views.noise(NOISE))
    data = pairs.flatten(pairs.make_pairs(keys[1], x[:COUNT], view))
    flat = x.reshape(len(x), -1)
    objective = grassmann.objective_matrix(data)
    time = 12 / float(grassmann.collapse_rate(objective))
    rate = SHARE * float(grassmann.stable_learning_rate(objective))
    steps = np.unique(np.geomspace(1, time / rate, 40).astype(int))
    base = linear(flat.shape[1], DIM, dtype=jnp.float64)
    problems = {
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

    def observe(params: Params, _: Pairs) -> dict[str, Array]:
        weight = params["weight"] / jnp.linalg.norm(params["weight"])
        z = flat @ weight.T
        train, test = z[:COUNT], z[COUNT:]
        accuracy = ridge_probe(train, labels[:COUNT], test, labels[COUNT:], classes=10)
        return {"accuracy": accuracy, "rank": effective_rank(train)}

    seen = {}
    for kind, problem in problems.items():
        # one matrix for both views: the loss of the same C, through a product of d x d
        quadratic = problem._replace(
            objective=lambda params, *_: jnp.sum((params["weight"] @ objective) * params["weight"])
        )
        found = jax.jit(run(quadratic, steps, observe))(keys[2]).observables
        seen[kind] = {k: np.asarray(v) for k, v in found.items()}
    kept, lost = (seen[kind]["accuracy"][-1] for kind in ("constrained", "naive"))
    noise = np.sqrt((kept * (1 - kept) + lost * (1 - lost)) / TEST)
    start = grassmann.read(problems["constrained"], keys[2]).weight
    flow = grassmann.subspace(objective, start, rate * float(steps[-1]))
    expected = float(effective_rank(flat[:COUNT] @ flow))
    claims = [
        at_most(
            f"grassmann/images-naive-rank-{name}",
            f"{name}: effective rank of {DIM} outputs without a constraint at the end",
            SOURCE,
            1.01,
            seen["naive"]["rank"][-1],
        ),
        close(
            f"grassmann/images-constrained-rank-{name}",
            f"{name}: effective rank with orthonormal outputs at the end over that of the exact "
            "flow; the finite step, lr x (l_max - l_min)",
            SOURCE,
            1.0,
            seen["constrained"]["rank"][-1] / expected,
            SHARE,
        ),
        at_least(
            f"grassmann/images-probe-{name}",
            f"{name}: probe accuracy on {TEST} unseen images, constrained less naive; 3.9 standard "
            "errors",
            SOURCE,
            3.9 * float(noise),
            kept - lost,
        ),
    ]
    figure, axes = new_figure(2)
    for ax, what, label in zip(
        axes, ("rank", "accuracy"), ("effective rank", "probe accuracy"), strict=True
    ):
        for kind in problems:
            ax.semilogx(steps * rate, seen[kind][what], label=kind)
        ax.set(xlabel="effective time t = learning rate × step", ylabel=label, ylim=(0, None))
        ax.legend(frameon=False)
    text = (
        f"Effective rank and probe accuracy of {DIM} linear outputs on {name}: orthonormal ones "
        "keep their dimensions, free ones end in one."
    )
    return Part(claims, [Figure(f"images-{name}", f"Kept and lost on {name}", text, figure)])
