"""Train a network under three losses from two starts: one program for six runs.

Views are drawn afresh at every step, and gradient descent has momentum, so that there is no
gradient-flow time: what is looked at are steps and subspaces, not rates. Losses see embeddings that
are centred over the batch, since a rectified network's outputs are mostly their mean; Barlow Twins
is the linearised one, and cosine SimCLR, which has no scale, starts from parallel embeddings where
others start from small ones: a constant unit vector is added. VICReg's hinge amplifies
exponentially, and so parts the modes, only while a standard deviation is below the root of its
epsilon, from there on linearly: epsilon is 1e-2, a hundred times the small start. Float32: a start
of 1e-3 is the smallest that its rounding bears.
"""

import math
from collections.abc import Callable
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
from jssl.papers.observed import of_both_views, of_directions
from jssl.papers.outcome import Scale, Settings
from jssl.simulation import log_spaced_steps, simulate
from jssl.types import Array, Model, Pairs, Params, Problem

DIM = 3
SMALL = 1e-3
MOMENTUM = 0.9
LOSSES = ("Barlow Twins", "VICReg", "SimCLR")
STARTS = {"small": SMALL, "standard": 1.0}
LEVELS = {"Barlow Twins": 1.0, "VICReg": 0.5, "SimCLR": None}
"""What counts as learned: 1 where Barlow Twins holds an eigenvalue, half the variance that VICReg's
hinge asks for, the last value where no theory says."""

Hidden = Callable[[Params, Array], tuple[Array, ...]]


class Network(NamedTuple):
    """A network that is trained.

    Attributes:
        make: `make(output_scale) -> (Model, hidden)`; hidden(params, x) returns (n, channels) each.
        learning_rates: for each loss, from the small start; from the standard one, where all layers
            move at once, a third of it. Below the stability limit, found by halving.
        steps: until all dimensions are learned from the small start.
    """

    make: Callable[[Any], tuple[Model, Hidden]]
    learning_rates: tuple[float, float, float]
    steps: int


class Data(NamedTuple):
    """Images that are trained on, fixed views of them that are watched, and images held out."""

    x: Array
    view: View
    watched: Pairs
    held_out: Array


class Runs(NamedTuple):
    """The six runs of a network; leading axes are losses and starts.

    Attributes:
        step: (points,) record steps.
        eigenvalues: (losses, starts, points, dim) of the embedding covariance, descending.
        hidden: a (losses, starts, points, channels) for every hidden layer.
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
    """Return centred images of a set, its augmentation, watched views and held-out images."""
    count, others = {"quick": (40, 100), "paper": (64, 500), "large": (2048, 2000)}[settings.scale]
    chosen, watch = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 21))
    drawn = images.subset(chosen, images.load(name), count + others).x
    drawn = drawn - drawn[:count].mean(0)
    x = jnp.asarray(drawn / np.sqrt(np.mean(drawn[:count] ** 2)), jnp.float32)
    view = augmentation(name)
    watched = pairs.make_pairs(watch, x[:count], view)
    return Data(x[:count], view, watched, x[count:])


def augmentation(name: str) -> View:
    """Return the random views of an image set: what leaves its content alone."""
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

        # The readout sums over positions, so the stable rate falls with them: found at 8 x 8.
        less = 64 / math.prod(image_shape[:2])
        return Network(make_conv, (0.005 * less, 0.1 * less, 0.05 * less), 600)
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

    # Normalised over the batch, features are of one size and their kernel larger.
    rates = {"group": (0.08, 0.3, 0.1), "batch": (0.02, 0.05, 0.1)}[norm]
    return Network(make_resnet, rates, 850)


def train(net: Network, data: Data, key: Array, points: int = 120) -> Runs:
    """Train under every loss from every start, all from one draw of the weights."""
    record = log_spaced_steps(net.steps, points, 2)
    functions = [
        losses.get("barlow_twins_linearized"),
        losses.get("vicreg", invariance=1.0, variance=1.0, covariance=1.0, epsilon=1e-2),
        losses.get("nt_xent", temperature=0.5),
    ]
    apply = net.make(1.0)[0].apply

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
            both = jnp.concatenate(data.watched[:2])
            za, zb = (shifted(z) for z in jnp.split(model.apply(params, both), 2))
            seen = jnp.where(
                which == LOSSES.index("SimCLR"), of_directions(za, zb), of_both_views(za, zb)
            )
            return {"z": seen, "hidden": [covariance(h) for h in hidden(params, both)]}

        simulation = simulate(problem, observe)
        start = simulation.init(key)
        last, seen = jax.lax.scan(
            simulation.advance, start, jnp.asarray(np.diff(record, prepend=0), jnp.int32)
        )
        return start.params, last.params, last.first_bad_step, seen

    cases = (
        jnp.repeat(jnp.arange(len(LOSSES)), len(STARTS)),
        jnp.tile(jnp.array(list(STARTS.values()), jnp.float32), len(LOSSES)),
        jnp.outer(jnp.array(net.learning_rates), jnp.array([1, 1 / 3])).ravel().astype(jnp.float32),
    )
    # One after the other: a program for six runs at once takes minutes to compile.
    view, arrays = data.view, data._replace(view=None)  # type: ignore[arg-type]

    @jax.jit
    def program(cases: Any, key: Array, arrays: Data) -> Any:
        return jax.lax.map(lambda case: one(case, key, arrays._replace(view=view)), cases)

    first, last, bad, seen = jax.tree.map(
        lambda a: a.reshape(len(LOSSES), len(STARTS), *a.shape[1:]), program(cases, key, arrays)
    )
    return Runs(
        record,
        _spectra(seen["z"]),
        [_spectra(covariances) for covariances in seen["hidden"]],
        first,
        last,
        np.asarray(bad),
        apply,
    )


def _spectra(covariances: Array) -> np.ndarray:
    """Return the eigenvalues, descending; zeros where a run was not finite, which is judged."""
    values = np.linalg.eigvalsh(
        np.nan_to_num(np.asarray(covariances, np.float64), posinf=0, neginf=0)
    )
    return np.maximum(values[..., ::-1], 0)
