"""Plain gradient descent with its learning rate as a field, so that a run has an effective time.

W <- W - learning_rate * dL/dW,   t = sum of the learning rates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from jssl.data.checks import require_range

Schedule = Callable[[Any], Any]


class Descent(NamedTuple):
    """An optax transformation that follows a gradient flow.

    Usable wherever optax takes a `GradientTransformation`; the third field is what shows
    `jssl.simulate` that effective time exists.

    Attributes:
        init: `init(params) -> state`.
        update: `update(gradients, state, params) -> (updates, state)`.
        learning_rate: the learning rate, a number, tracer or schedule of the step.
    """

    init: Callable[..., Any]
    update: Callable[..., Any]
    learning_rate: Any


def gradient_descent(learning_rate: float | jax.Array | Schedule) -> Descent:
    """Return plain gradient descent with a known learning rate.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> optimiser = gradient_descent(0.5)
        >>> updates, _ = optimiser.update(jnp.ones(2), optimiser.init(jnp.zeros(2)))
        >>> print(optax.apply_updates(jnp.zeros(2), updates), optimiser.learning_rate)
        [-0.5 -0.5] 0.5

    Args:
        learning_rate: positive; a number, a tracer, or a schedule `step -> learning rate`.

    Returns:
        A `Descent`, which optax accepts as a `GradientTransformation`.

    Raises:
        InputError: for a learning rate that is negative or no number.
    """
    require_rate(learning_rate)
    plain = optax.sgd(learning_rate)
    return Descent(plain.init, plain.update, learning_rate)


def require_rate(learning_rate: Any) -> None:
    """Raise unless the learning rate is a number of at least 0; schedules and tracers pass.

    Example:
        >>> require_rate(-0.1)
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: learning_rate must be a number of at least 0; got -0.1
    """
    if not callable(learning_rate):
        require_range("learning_rate", learning_rate, 0)


def learning_rate_at(optimiser: Any, step: jax.Array) -> Any | None:
    """Return the learning rate of a step where gradient-flow time exists, None elsewhere.

    Example:
        >>> print(learning_rate_at(gradient_descent(0.1), 3), learning_rate_at(optax.adam(0.1), 3))
        0.1 None
    """
    rate = getattr(optimiser, "learning_rate", None)
    return rate(step) if callable(rate) else rate
