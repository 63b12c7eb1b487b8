"""Small problems that sweeps are tested on."""

import jax
import jax.numpy as jnp

import jssl
from jssl import losses, models
from jssl.data import pairs, toy
from jssl.optim import gradient_descent


def data():
    return toy.pairs_with_cross_moment(jnp.array([1.0, 0.5, 0.1]), 4)


def linear_problem(learning_rate=0.02, scale=0.3, loss="barlow_twins_linearized"):
    """A linear model of 3 inputs and 2 outputs."""
    return jssl.Problem(
        pairs.fixed(data()),
        models.linear(3, 2, scale=scale),
        losses.get(loss),
        gradient_descent(learning_rate),
    )


def mlp_problem(width, learning_rate=0.02, max_width=None):
    """An MLP whose width may be padding."""
    model = models.mlp(3, 2, width=width, depth=2, max_width=max_width)
    return jssl.Problem(
        pairs.fixed(data()),
        model,
        losses.get("barlow_twins_linearized"),
        gradient_descent(learning_rate),
    )


def normalised_problem(width, max_width=None, *, centre=True):
    """An MLP whose hidden layer is normalised, and that wrongly offers to be padded."""
    plain = models.mlp(3, 2, width=width, depth=1, max_width=max_width)

    def apply(params, x):
        h = jnp.tanh(x @ params[0]["weight"].T)
        h = (h - h.mean(1, keepdims=True)) / (h.std(1, keepdims=True) + 0.1)
        return h @ params[1]["weight"].T

    model = plain._replace(apply=apply)
    return jssl.Problem(pairs.fixed(data()), model, losses.get("vicreg"), gradient_descent(0.02))


def speaking_problem(width, max_width=None):
    """An MLP of sigmoids, sigmoid(0) = 1/2, that wrongly offers to be padded."""
    plain = models.mlp(3, 2, width=width, depth=1, max_width=max_width)

    def apply(params, x):
        return jax.nn.sigmoid(x @ params[0]["weight"].T) @ params[1]["weight"].T

    return jssl.Problem(
        pairs.fixed(data()),
        plain._replace(apply=apply),
        losses.get("barlow_twins_linearized"),  # not free of a constant, as VICReg is
        gradient_descent(0.02),
    )
