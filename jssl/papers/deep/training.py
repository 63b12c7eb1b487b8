"""Train a network under three losses from two starts, in one program for the six runs.

Views are drawn anew at every step, and gradient descent uses momentum, so there is no gradient-flow
time: claims are about steps and subspaces, not rates. Embeddings are centred over the batch before
the loss, since the outputs of a rectified network consist mostly of their mean. Barlow Twins is the
linearised loss. Cosine SimCLR does not depend on scale: a constant unit vector is added to its
embeddings, so that they start parallel where those of other losses start small. VICReg's hinge
separates modes by exponential growth only while standard deviations are below the root of its
epsilon; above it, growth is linear. The root of epsilon is 0.1 here, a hundred times the scale of
the small start. Training uses float32, whose rounding allows no start below 1e-3.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jssl import losses
from jssl.data import images, pairs, views
from jssl.data.views import View
from jssl.diagnostics import covariance
from jssl.models import conv, resnet_with_stages
from jssl.papers.observed import covariance_of_directions, covariance_of_views
from jssl.papers.outcome import Scale, Settings
from jssl.simulation import log_spaced_steps, simulate
from jssl.single_use import compile_for_many_steps
from jssl.types import Array, Model, Pairs, Params, Problem

DIM = 3
SMALL = 1e-3
MOMENTUM = 0.9
LOSSES = ("Barlow Twins", "VICReg", "SimCLR")
STARTS = {"small": SMALL, "standard": 1.0}
LEVELS = {"Barlow Twins": 1.0, "VICReg": 0.5, "SimCLR": None}
"""Eigenvalue of a learned dimension: 1 for Barlow Twins, half the target variance for VICReg, and
None where theory gives no value, which stands for the final value."""

Hidden = Callable[[Params, Array], tuple[Array, ...]]


class Network(NamedTuple):
    """A network that is trained.

    Attributes:
        make: `make(output_scale) -> (Model, hidden)`; `hidden(params, x)` returns the features
            (n, channels) of each hidden layer.
        learning_rates: for each loss, from the small start. From the standard start, where all
            layers change at once, a third of it is used. The rates are stable, found by halving.
        steps: enough to learn all dimensions from the small start.
    """

    make: Callable[[Any], tuple[Model, Hidden]]
    learning_rates: tuple[float, float, float]
    steps: int


class Data(NamedTuple):
    """Training images, their augmentation, fixed views of them for recording, held-out images."""

    x: Array
    view: View
    recorded: Pairs
    held_out: Array


class Runs(NamedTuple):
    """The six runs of a network; leading axes are losses and starts.

    Attributes:
        step: (points,) record steps.
        eigenvalues: (losses, starts, points, dim) of the embedding covariance, descending.
        hidden: (losses, starts, points, channels) eigenvalues for each hidden layer.
        first: params at the start, leaves with leading axes (losses, starts).
        last: params at the end.
        first_bad_step: (losses, starts).
        apply: `apply(params, x) -> z` of the network, neither centred nor shifted.
    """

    step: np.ndarray
    eigenvalues: np.ndarray
    hidden: list[np.ndarray]
    first: Params
    last: Params
    first_bad_step: np.ndarray
    apply: Callable[[Params, Array], Array]


def load(name: str, settings: Settings) -> Data:
    """Return centred images of a set, with augmentation, recorded views and held-out images."""
    count, others = {"quick": (40, 100), "paper": (64, 500), "large": (2048, 2000)}[settings.scale]
    chosen, views_key = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 21))
    sample = images.subset(chosen, images.load(name), count + others).x
    sample = sample - sample[:count].mean(0)
    x = jnp.asarray(sample / np.sqrt(np.mean(sample[:count] ** 2)), jnp.float32)
    view = augmentation(name)
    recorded = pairs.make_pairs(views_key, x[:count], view)
    return Data(x[:count], view, recorded, x[count:])


def augmentation(name: str) -> View:
    """Return the augmentation of an image set, which leaves the content of an image unchanged."""
    if name == "digits":
        return views.compose(views.shift(1), views.noise(0.1))
    return views.compose(views.flip(), views.crop(0.5), views.brightness(0.4), views.noise(0.1))


def network(kind: str, image_shape: Any, scale: Scale) -> Network:
    """Return a network by name: "conv net" or "ResNet, NORM norm"."""
    channels = {"quick": 8, "paper": 8, "large": 64}[scale]
    if kind == "conv net":
        layers = 2 if scale == "quick" else 3

        def make_conv(output_scale: Any) -> tuple[Model, Hidden]:
            options: dict[str, Any] = {
                "channels": channels,
                "activation": "tanh",
                "parametrisation": "standard",
            }
            options["dtype"] = jnp.float32
            model = conv(
                image_shape,
                DIM,
                layers=layers,
                readout="flatten",
                output_scale=output_scale,
                **options,
            )
            readers = [conv(image_shape, channels, layers=k + 1, **options) for k in range(layers)]
            identity = {"weight": jnp.eye(channels, dtype=jnp.float32)}

            def hidden(params: Params, x: Array) -> tuple[Array, ...]:
                return tuple(
                    reader.apply((*params[: k + 1], identity), x)
                    for k, reader in enumerate(readers)
                )

            return model, hidden

        # The readout sums over positions, so the stable rate is inversely proportional to their
        # number. These rates were found at 8 x 8.
        factor = 64 / math.prod(image_shape[:2])
        return Network(make_conv, (0.005 * factor, 0.1 * factor, 0.05 * factor), 600)
    norm = kind.split()[1]
    blocks = {"quick": (1, 1), "paper": (1, 1, 1), "large": (2, 2, 2, 2)}[scale]

    def make_resnet(output_scale: Any) -> tuple[Model, Hidden]:
        return resnet_with_stages(
            image_shape,
            DIM,
            blocks=blocks,
            channels=channels,
            norm=norm,
            groups=4,
            output_scale=output_scale,
            dtype=jnp.float32,
        )

    # Batch norm makes the tangent kernel larger, so stable rates are smaller.
    rates = {"group": (0.08, 0.3, 0.1), "batch": (0.02, 0.05, 0.1)}[norm]
    return Network(make_resnet, rates, 850)


def train(net: Network, data: Data, key: Array, points: int = 120) -> Runs:
    """Train under every loss from every start, with the same random weights in all runs."""
    record = log_spaced_steps(net.steps, points, 2)
    cases = (
        jnp.repeat(jnp.arange(len(LOSSES)), len(STARTS)),
        jnp.tile(jnp.array(list(STARTS.values()), jnp.float32), len(LOSSES)),
        jnp.outer(jnp.array(net.learning_rates), jnp.array([1, 1 / 3])).ravel().astype(jnp.float32),
    )
    # One after the other: a program for six runs at once takes minutes to compile.
    view, arrays = data.view, data._replace(view=None)  # type: ignore[arg-type]
    one = _training(net, record)

    @partial(compile_for_many_steps, products=True)
    def program(cases: Any, key: Array, arrays: Data) -> Any:
        return jax.lax.map(lambda case: one(case, key, arrays._replace(view=view)), cases)

    first, last, bad, observed = jax.tree.map(
        lambda a: a.reshape(len(LOSSES), len(STARTS), *a.shape[1:]), program(cases, key, arrays)
    )
    return Runs(
        record,
        _spectra(observed["z"]),
        [_spectra(covariances) for covariances in observed["hidden"]],
        first,
        last,
        np.asarray(bad),
        net.make(1.0)[0].apply,
    )


def _training(net: Network, record: np.ndarray) -> Callable[..., tuple[Any, ...]]:
    """Return `train(case, key, data)` for a case (index of the loss, output scale, rate)."""
    functions = [
        losses.get("barlow_twins_linearized"),
        losses.get("vicreg", invariance=1.0, variance=1.0, covariance=1.0, epsilon=1e-2),
        losses.get("nt_xent", temperature=0.5),
    ]

    def one(case: tuple[Array, Array, Array], key: Array, data: Data) -> tuple[Any, ...]:
        which, output_scale, learning_rate = case
        model, hidden = net.make(output_scale)
        parallel = (which == LOSSES.index("SimCLR")) & (output_scale < 1)
        offset = jnp.where(parallel, jnp.zeros(DIM, jnp.float32).at[0].set(1), 0)

        def shifted(z: Array) -> Array:
            return z - z.mean(0) + offset

        problem = Problem(
            pairs.fresh(data.x, data.view),
            model,
            lambda za, zb: jax.lax.switch(which, functions, shifted(za), shifted(zb)),
            optax.sgd(learning_rate, momentum=MOMENTUM),
        )

        def observe(params: Params, _: Pairs) -> dict[str, Any]:
            both = jnp.concatenate(data.recorded[:2])
            za, zb = (shifted(z) for z in jnp.split(model.apply(params, both), 2))
            z = jnp.where(
                which == LOSSES.index("SimCLR"),
                covariance_of_directions(za, zb),
                covariance_of_views(za, zb),
            )
            return {"z": z, "hidden": [covariance(h) for h in hidden(params, both)]}

        simulation = simulate(problem, observe)
        start = simulation.init(key)
        last, observed = jax.lax.scan(
            simulation.advance, start, jnp.asarray(np.diff(record, prepend=0), jnp.int32)
        )
        return start.params, last.params, last.first_bad_step, observed

    return one


def _spectra(covariances: Array) -> np.ndarray:
    """Return the eigenvalues, descending; zeros where a run is not finite.

    Another claim tests that every run is finite.
    """
    values = np.linalg.eigvalsh(
        np.nan_to_num(np.asarray(covariances, np.float64), posinf=0, neginf=0)
    )
    return np.maximum(values[..., ::-1], 0)
