r"""Prediction of one view from the other: JEPA, IsoLoss, DirectPred and a masked autoencoder.

    jepa        |q(z) - sg(t)|^2 / 2                z the context, t the target embedding
    iso_loss    |z - sg(t + z - q(z))|^2 / 2        the same value; its gradient drops q'(z)
    mae         |d(z) - y|^2 / 2                    d the decoder, y the target view itself

All are means over samples, in one direction: the first view is the context. A predictor, a target
network and a masked autoencoder are objectives on parameters {"online", "predictor", "target"} (see
`jssl.losses.distillation`). The stop-gradient makes `jepa` and `iso_loss` vector fields, not
gradients of a function: their value need not fall.
JEPA: Littwin et al. 2024, arXiv 2407.03475. IsoLoss: Halvagal et al. 2023, arXiv 2212.04858.
DirectPred: Tian et al. 2021, arXiv 2102.06810.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jssl.arithmetic import floating, mean, working
from jssl.errors import InputError
from jssl.losses.common import (
    check_number,
    check_predictor,
    check_rows,
    check_targets,
    entry,
    prepare,
)
from jssl.types import Array, Pairs, Params

Predictor = Callable[[Array], Array]
Objective = Callable[[Params, Pairs, Array], Array]


def jepa(
    za: Array,
    zb: Array,
    *,
    predictor: Predictor | None = None,
    targets: tuple[Array, Array] | None = None,
) -> Array:
    r"""JEPA: half the squared distance of a prediction from the other view, held constant.

    Example:
        >>> import jax.numpy as jnp
        >>> za, zb = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]])
        >>> print(float(jepa(za, zb)), float(jepa(za, zb, predictor=lambda z: 0 * z)))
        2.5 2.0

    $$L = \frac{1}{2n} \sum_i \big| q(z_{a,i}) - \mathrm{sg}(z_{b,i}) \big|^2$$

    Unlike `simsiam` nothing is normalised, and only the second view is a target. Pass the mean of
    jepa(za, zb) and jepa(zb, za) for both directions.

    Args:
        za: (n, dim) embeddings of the context.
        zb: (n, dim) embeddings of the target view.
        predictor: q, a function (n, dim) -> (n, dim); None is the identity.
        targets: (target_a, target_b) of an averaged network; target_b replaces zb as the target.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: on unequal shapes, no pair, a predictor that is no function, or targets that
            are not two. One pair is enough: samples are not compared with one another.

    References:
        Littwin et al. 2024, arXiv 2407.03475.
    """
    z, prediction, target = _prediction(za, zb, predictor, targets)
    del z
    return mean(jnp.sum((prediction - jax.lax.stop_gradient(target)) ** 2, axis=1)) / 2


def iso_loss(
    za: Array,
    zb: Array,
    *,
    predictor: Predictor | None = None,
    targets: tuple[Array, Array] | None = None,
) -> Array:
    r"""IsoLoss: `jepa` with a gradient that reaches the context without the predictor.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> za, zb = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]])
        >>> half = lambda z: z / 2
        >>> [jax.grad(loss)(za, zb, predictor=half).tolist() for loss in (jepa, iso_loss)]
        [[[0.25, -1.0]], [[0.5, -2.0]]]

    $$L = \frac{1}{2n} \sum_i \big| z_{a,i} - \mathrm{sg}(z_{b,i} + z_{a,i} - q(z_{a,i})) \big|^2$$

    The predictor gets no gradient: set it from the embeddings, as `direct_objective` does.

    Args:
        za: (n, dim) embeddings of the context.
        zb: (n, dim) embeddings of the target view.
        predictor: q, a function (n, dim) -> (n, dim); None is the identity.
        targets: (target_a, target_b) of an averaged network; target_b replaces zb as the target.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32.

    Raises:
        InputError: as `jepa`; one pair is enough.

    References:
        Halvagal et al. 2023, arXiv 2212.04858; the published code has no factor 1/2.
    """
    z, prediction, target = _prediction(za, zb, predictor, targets)
    rest = z - jax.lax.stop_gradient(target + z - prediction)
    return mean(jnp.sum(rest**2, axis=1)) / 2


def reconstruction_objective(
    apply: Callable[[Params, Array], Array], decoder: Callable[[Params, Array], Array]
) -> Objective:
    r"""Return the objective of a masked autoencoder, for `Problem.objective`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> linear = lambda w, x: x @ w.T
        >>> objective = reconstruction_objective(linear, linear)
        >>> params = {"online": jnp.eye(2), "predictor": 2 * jnp.eye(2)}
        >>> print(float(objective(params, Pairs(jnp.eye(2), jnp.eye(2)), jax.random.key(0))))
        0.5

    $$L = \frac{1}{2n} \sum_i \big| d(f(x_i)) - y_i \big|^2$$

    with x the first view, the visible part or one augmentation, and y the second one.

    Args:
        apply: `apply(params, x) -> z` of the encoder.
        decoder: `decoder(params, z)` with as many numbers a sample as y has.

    Returns:
        `objective(params, pairs, key) -> scalar` on {"online", "predictor"}, the decoder's
        parameters being "predictor"; in float32 at least.
    """

    def objective(params: Params, pairs: Pairs, key: Array) -> Array:  # noqa: ARG001
        embedded = apply(entry(params, "online"), pairs.first)
        decoded, target = working(
            **{
                "the decoder's output": decoder(entry(params, "predictor"), embedded),
                "the target view": pairs.second,
            }
        )
        for name, rows in {"decoder's output": decoded, "target view": target}.items():
            if not (rows.ndim and rows.size):
                message = f"the {name} must hold one row for each pair; got shape {rows.shape}"
                raise InputError(message)
        target, decoded = (x.reshape(len(x), -1) for x in (target, decoded))
        if decoded.shape != target.shape:
            message = (
                f"the decoder returns {decoded.shape[1]} numbers a sample for {len(decoded)} "
                f"samples, but the target view has {target.shape[1]} for {len(target)}"
            )
            raise InputError(message)
        return mean(jnp.sum((decoded - target) ** 2, axis=1)) / 2

    return objective


def direct_objective(
    apply: Callable[[Params, Array], Array],
    exponent: Any = 0.5,
    loss: Callable[..., Array] = jepa,
) -> Objective:
    r"""Return the objective of DirectPred: the predictor is set from the embeddings.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> objective = direct_objective(lambda w, x: x @ w.T)
        >>> x = 2.0 * jnp.eye(2)  # F = 2 I, so the predictor is sqrt(2) I
        >>> print(round(float(objective({"online": jnp.eye(2)}, Pairs(x, x), None)), 4))
        0.3431

    $$q(z) = F^a z, \qquad F = \frac1n \sum_i z_{a,i} z_{a,i}^\top$$

    without gradient through F. It calls LAPACK (an eigendecomposition a step).

    Args:
        apply: `apply(params, x) -> z` of the encoder.
        exponent: a > 0; 1/2 is the published one.
        loss: `jepa` for DirectPred, `iso_loss` for IsoLoss.

    Returns:
        `objective(params, pairs, key) -> scalar` on {"online"} and, where the target is averaged,
        "target".

    Raises:
        InputError: for an exponent that is not positive.

    References:
        Tian et al. 2021, arXiv 2102.06810, without its regularisation of F.
    """
    check_number("exponent", exponent)

    def objective(params: Params, pairs: Pairs, key: Array) -> Array:  # noqa: ARG001
        views = pairs.first, pairs.second
        za, zb = (apply(entry(params, "online"), x) for x in views)
        averaged = params.get("target")
        targets = None if averaged is None else tuple(apply(averaged, x) for x in views)
        fixed = jax.lax.stop_gradient(prepare(za, zb)[0])
        values, vectors = jnp.linalg.eigh(fixed.T @ (fixed / len(fixed)))
        power = (vectors * jnp.maximum(values, 0) ** exponent) @ vectors.T
        return loss(za, zb, predictor=lambda z: z @ power, targets=targets)

    return objective


def decayed_objective(
    objective: Objective, decay: Any, names: Sequence[str] = ("online", "predictor")
) -> Objective:
    """Return an objective with weight decay, decay/2 times the squares of the trained parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> objective = decayed_objective(lambda params, pairs, key: 0.0, 0.1)
        >>> params = {"online": 2 * jnp.ones(3), "predictor": ()}
        >>> round(float(objective(params, None, None)), 4)
        0.6

    Its gradient adds decay times the parameter, as weight decay of plain descent does, and the run
    keeps its gradient-flow time. The target network is not decayed.

    Args:
        objective: of `target_objective`, `reconstruction_objective` or `direct_objective`.
        decay: eta >= 0; may be traced.
        names: entries of the parameters that are decayed.

    Raises:
        InputError: for a negative decay.
    """
    check_number("decay", decay)

    def decayed(params: Params, pairs: Pairs, key: Array) -> Array:
        trained = [params[name] for name in names if name in params]
        squares = sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(trained))
        return objective(params, pairs, key) + decay / 2 * squares

    return decayed


def _prediction(
    za: Array,
    zb: Array,
    predictor: Predictor | None,
    targets: tuple[Array, Array] | None,
) -> tuple[Array, Array, Array]:
    """Return the context, its prediction and the target in one dtype."""
    z, other = prepare(za, zb)
    check_predictor(predictor)
    target = other if targets is None else prepare(*check_targets(targets))[1]
    # A predictor is given the embeddings in their own dtype.
    prediction = z if predictor is None else predictor(floating(za=za)[0])
    for name, rows in {"the predictor's output": prediction, "targets": target}.items():
        check_rows(name, rows, z, paired=True)
    return z, prediction.astype(z.dtype), target.astype(z.dtype)
