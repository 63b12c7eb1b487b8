"""Small encoders whose state is known from how they were trained.

`train(architecture, seeds)` trains every recipe from every seed in one program: the objective is
a weighted sum of all losses, and a recipe is a row of weights. It returns the embeddings of all
samples after the backbone and after the projector, and those of augmented views. The data are in
`benchmarks/encoder_data.py`.

    untrained                   no step is taken
    simclr, vicreg, barlow      the losses of the papers; simsiam with its stop-gradient
    align_uniform               the weighted sum of alignment and uniformity
    decorrelation left out      VICReg without its covariance term, Barlow Twins without redundancy
    bottleneck                  SimCLR and Barlow Twins whose backbone and projector pass through 2
                                or 3 units
    invariance alone            SimSiam without stop-gradient, VICReg without variance and
                                covariance terms, alignment without uniformity
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.encoder_data import data_named
from jssl import losses

TRAINED_ON, BATCH, STEPS = 1000, 128, 500
WITH_VIEWS = 400
"""Samples of which several views are embedded."""


class Architecture(NamedTuple):
    """A backbone and a projector.

    Attributes:
        kind: "mlp", "conv", or "residual": convolutions that are added to their input.
        width: of the hidden layers.
        depth: hidden layers of the backbone.
        features: of the backbone.
        outputs: of the projector.
        batch_norm: whether hidden layers are standardised over the batch.
        rectified: whether the features of the backbone pass through a ReLU.
        data: name of the data in `benchmarks/encoder_data.py`.
        start: "he": normal weights of variance 2 / inputs, and biases of zero; "torch": weights and
            biases uniform up to 1 / sqrt(inputs), as the default of PyTorch.
    """

    kind: str
    width: int
    depth: int
    features: int
    outputs: int
    batch_norm: bool
    rectified: bool
    data: str = "digits"
    start: str = "he"


class Recipe(NamedTuple):
    """How an encoder is trained.

    Attributes:
        state: what the training leads to: healthy, untrained, partial or complete.
        weights: of the losses in `LOSSES`, by name.
        stop: 1 where the targets of SimSiam are constants.
        units: of a bottleneck in backbone and projector; 0 for none.
        steps: share of the steps that are taken.
    """

    state: str
    weights: dict[str, float]
    stop: float = 1.0
    units: int = 0
    steps: float = 1.0


RECIPES = {
    "untrained": Recipe("untrained", {}, steps=0.0),
    "simclr": Recipe("healthy", {"simclr": 1}),
    "barlow": Recipe("healthy", {"on_diagonal": 1, "barlow": 1}),
    "vicreg": Recipe("healthy", {"vicreg_invariance": 1, "vicreg_variance": 1, "vicreg": 1}),
    "simsiam": Recipe("healthy", {"simsiam": 1}),
    "align_uniform": Recipe("healthy", {"alignment": 1, "uniformity": 1}),
    "vicreg_no_covariance": Recipe("partial", {"vicreg_invariance": 1, "vicreg_variance": 1}),
    "barlow_no_redundancy": Recipe("partial", {"on_diagonal": 1}),
    "simclr_bottleneck_2": Recipe("partial", {"simclr": 1}, units=2),
    "simclr_bottleneck_3": Recipe("partial", {"simclr": 1}, units=3),
    "barlow_bottleneck_2": Recipe("partial", {"on_diagonal": 1, "barlow": 1}, units=2),
    "simsiam_no_stop": Recipe("complete", {"simsiam": 1}, stop=0.0),
    "vicreg_invariance": Recipe("complete", {"vicreg_invariance": 1}),
    "alignment": Recipe("complete", {"alignment": 1}),
}


class Embeddings(NamedTuple):
    """Embeddings of one encoder.

    Attributes:
        backbone: (samples, features).
        projector: (samples, outputs).
        backbone_views: (WITH_VIEWS, views, features).
        projector_views: (WITH_VIEWS, views, outputs).
    """

    backbone: np.ndarray
    projector: np.ndarray
    backbone_views: np.ndarray
    projector_views: np.ndarray


def train(
    architecture: Architecture, seeds: list[int], views: int = 10, learning_rate: float = 2e-3
) -> dict[tuple[str, int], Embeddings]:
    """Return the embeddings of every recipe and seed."""
    data = data_named(architecture.data)
    names = [(name, seed) for name in RECIPES for seed in seeds]
    weights = jnp.array([[RECIPES[n].weights.get(k, 0.0) for k in _TERMS] for n, _ in names])
    stop, steps, units = (
        jnp.array([getattr(RECIPES[n], field) for n, _ in names], jnp.float32)
        for field in ("stop", "steps", "units")
    )
    tx = optax.adam(learning_rate)

    def run(seed: Any, weights: Any, stop: Any, share: Any, units: Any) -> Any:
        key = jax.random.key(seed)
        params = _init(key, architecture)

        def objective(params: Any, key: Any) -> Any:
            which, first, second = jax.random.split(key, 3)
            at = jax.random.randint(which, (BATCH,), 0, TRAINED_ON)
            both = [
                _projector(params, _backbone(params, x, architecture, units), architecture, units)
                for x in (data.view(first, at), data.view(second, at))
            ]
            za, zb = both
            terms = _terms(za, zb, _predictor(params, za), _predictor(params, zb), stop)
            return jnp.sum(weights * jnp.stack(terms))

        def step(carry: Any, k: Any) -> Any:
            params, state = carry
            slope = jax.grad(objective)(params, jax.random.fold_in(key, k))
            updates, state = tx.update(slope, state, params)
            moves = (k < share * STEPS).astype(jnp.float32)
            updates = jax.tree.map(lambda u: moves * u, updates)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(step, (params, tx.init(params)), jnp.arange(STEPS))
        return params

    def embed(params: Any, units: Any) -> tuple[Any, Any, Any, Any]:
        clean = _backbone(params, jnp.asarray(data.clean), architecture, units)
        at = jnp.repeat(jnp.arange(WITH_VIEWS), views)
        seen = _backbone(params, data.view(jax.random.key(0), at), architecture, units)
        shape = (WITH_VIEWS, views, -1)
        return (
            clean,
            _projector(params, clean, architecture, units),
            seen.reshape(shape),
            _projector(params, seen, architecture, units).reshape(shape),
        )

    numbers = jnp.array([seed for _, seed in names])
    params = jax.jit(jax.vmap(run))(numbers, weights, stop, steps, units)
    every = [np.asarray(a) for a in jax.jit(jax.vmap(embed))(params, units)]
    return {name: Embeddings(*(a[i] for a in every)) for i, name in enumerate(names)}


_TERMS = (
    "simclr",
    "on_diagonal",
    "barlow",
    "vicreg_invariance",
    "vicreg_variance",
    "vicreg",
    "simsiam",
    "alignment",
    "uniformity",
)


def _terms(za: Any, zb: Any, qa: Any, qb: Any, stop: Any) -> list[Any]:
    """Return the losses and their parts, in the order of `_TERMS`."""
    one, none = {"redundancy": 1.0}, {"redundancy": 0.0}
    on_diagonal = losses.barlow_twins(za, zb, **none)
    parts = {"invariance": 0.0, "variance": 0.0, "covariance": 0.0}
    ta, tb = (stop * jax.lax.stop_gradient(z) + (1 - stop) * z for z in (za, zb))
    align = losses.align_uniform(za, zb, weight=0.0)
    return [
        losses.nt_xent(za, zb, temperature=0.5),
        on_diagonal,
        0.02 * (losses.barlow_twins(za, zb, **one) - on_diagonal),
        losses.vicreg(za, zb, **(parts | {"invariance": 25.0})),
        losses.vicreg(za, zb, **(parts | {"variance": 25.0})),
        losses.vicreg(za, zb, **(parts | {"covariance": 1.0})),
        -(_cosine(qa, tb) + _cosine(qb, ta)) / 2,
        align,
        losses.align_uniform(za, zb, weight=1.0) - align,
    ]


def _cosine(a: Any, b: Any) -> Any:
    size = jnp.sqrt((jnp.sum(a**2, -1) + 1e-12) * (jnp.sum(b**2, -1) + 1e-12))
    return jnp.mean(jnp.sum(a * b, -1) / size)


def _init(key: Any, a: Architecture) -> Any:
    keys = iter(jax.random.split(key, 16))
    inputs = 64 if a.kind == "mlp" else 9
    sizes = [inputs, *[a.width * (1 if a.kind == "mlp" else 9)] * a.depth]
    outs = [*[a.width] * a.depth, a.features]
    dense = _dense_of_torch if a.start == "torch" else _dense
    body = [dense(next(keys), i, o) for i, o in zip(sizes, outs, strict=True)]
    return {
        "body": body,
        "head": [dense(next(keys), a.features, 64), dense(next(keys), 64, a.outputs)],
        "predictor": [dense(next(keys), a.outputs, 16), dense(next(keys), 16, a.outputs)],
    }


def _dense_of_torch(key: Any, inputs: int, outputs: int) -> Any:
    each, most = jax.random.split(key), inputs**-0.5
    shapes = {"w": (inputs, outputs), "b": (outputs,)}
    return {
        name: jax.random.uniform(k, shape, minval=-most, maxval=most)
        for k, (name, shape) in zip(each, shapes.items(), strict=True)
    }


def _dense(key: Any, inputs: int, outputs: int) -> Any:
    scale = (2 / inputs) ** 0.5
    return {"w": scale * jax.random.normal(key, (inputs, outputs)), "b": jnp.zeros(outputs)}


def _backbone(params: Any, x: Any, a: Architecture, units: Any) -> Any:
    h = x.reshape(len(x), -1) if a.kind == "mlp" else x
    for number, layer in enumerate(params["body"]):
        last, skipped = number == a.depth, h
        if a.kind != "mlp":
            h = _patches(h)
            if number == 1:
                h, skipped = h[:, ::2, ::2], skipped[:, ::2, ::2]
        if last:
            h = _narrow(h, units)
        h = h @ layer["w"] + layer["b"]
        h = _standardise(h) if a.batch_norm else h
        h = h if last and not a.rectified else jax.nn.relu(h)
        if a.kind == "residual" and 0 < number < a.depth:
            h = h + skipped
    return h if a.kind == "mlp" else h.mean((1, 2))


def _projector(params: Any, h: Any, a: Architecture, units: Any) -> Any:
    first, last = params["head"]
    h = h @ first["w"] + first["b"]
    h = jax.nn.relu(_standardise(h) if a.batch_norm else h)
    return _narrow(h, units) @ last["w"] + last["b"]


def _predictor(params: Any, z: Any) -> Any:
    first, last = params["predictor"]
    h = jax.nn.relu(_standardise(z @ first["w"] + first["b"]))
    return h @ last["w"] + last["b"]


def _narrow(h: Any, units: Any) -> Any:
    """Keep the first units of a layer; all where `units` is 0."""
    return h * ((jnp.arange(h.shape[-1]) < units) | (units == 0))


def _standardise(h: Any) -> Any:
    axes = tuple(range(h.ndim - 1))
    return (h - h.mean(axes)) / jnp.sqrt(h.var(axes) + 1e-5)


def _patches(h: Any) -> Any:
    """Return the 3x3 neighbourhoods, (n, height, width, 9 channels), with zeros outside."""
    height, width = h.shape[1:3]
    wide = jnp.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
    parts = [wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(parts, -1)
