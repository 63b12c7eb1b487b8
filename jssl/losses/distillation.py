r"""Losses with a target that is not differentiated: SimSiam, BYOL, and the averaged network.

    cosine of q(za) with target_b and of q(zb) with target_a, targets as constants

q is the predictor. Without a target network the targets are the embeddings themselves
(SimSiam, arXiv 2011.10566); with one they come from the exponential average of the online
network (BYOL, arXiv 2006.07733). A loss depends on embeddings only. To train a predictor and a
target network, use `target_objective` with `track_target` on the parameters of `target_model`. The
stop-gradient leaves no potential: these are vector fields, not gradients of a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from jssl.arithmetic import floating
from jssl.errors import InputError, shown
from jssl.losses.common import check_predictor, check_rows, check_targets, entry, prepare, unit
from jssl.number_checks import require_number
from jssl.types import Array, Model, Pairs, Params

if TYPE_CHECKING:  # at run time it is imported by `track_target` alone
    import optax

_PREDICTOR = 2**31 - 1  # folded into the key of an initialisation; no layer has this number


def simsiam(
    za: Array,
    zb: Array,
    *,
    predictor: Callable[[Array], Array] | None = None,
    targets: tuple[Array, Array] | None = None,
) -> Array:
    r"""SimSiam: negative cosine between a prediction and the other view, which is constant.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> print(float(simsiam(z, 2 * z)), float(simsiam(z, z, predictor=lambda z: -z)))
        -1.0 1.0

    $$L = -\frac{1}{2n} \sum_i \big[ \cos(q(z_{a,i}), \mathrm{sg}(z_{b,i}))
    + \cos(q(z_{b,i}), \mathrm{sg}(z_{a,i})) \big]$$

    Args:
        za: (n, dim) embeddings of the first views.
        zb: (n, dim) embeddings of the second views.
        predictor: q, a function (n, dim) -> (n, dim); None is the identity.
        targets: (target_a, target_b), embeddings of both views that replace (za, zb) as targets.

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32, between -1 and 1.

    Raises:
        InputError: on unequal shapes.

    References:
        arXiv 2011.10566, equations (1) to (4).
    """
    return -_cosines(za, zb, predictor, targets) / 2


def byol_regression(
    za: Array,
    zb: Array,
    *,
    predictor: Callable[[Array], Array] | None = None,
    targets: tuple[Array, Array] | None = None,
) -> Array:
    r"""BYOL: squared distance of the normalised prediction from the normalised target.

    Example:
        >>> import jax.numpy as jnp
        >>> z = jnp.array([[1.0, 0.0], [0.0, 1.0]])
        >>> print(float(byol_regression(z, 2 * z)), float(byol_regression(z, -z)))
        0.0 8.0

    $$L = \frac1n \sum_i \Big[ \big|\overline{q(z_{a,i})} - \bar t_{b,i}\big|^2
    + \big|\overline{q(z_{b,i})} - \bar t_{a,i}\big|^2 \Big], \qquad \bar v = v / |v|$$

    with t constant. For the same arguments this is 4 + 4 `simsiam`.

    Args:
        za: (n, dim) online embeddings of the first views.
        zb: (n, dim) online embeddings of the second views.
        predictor: q, a function (n, dim) -> (n, dim); None is the identity.
        targets: (target_a, target_b), the averaged network's embeddings of both views; None
            takes (za, zb).

    Returns:
        The loss, a scalar in the dtype of the embeddings, at least float32, between 0 and 8.

    Raises:
        InputError: on unequal shapes.

    References:
        arXiv 2006.07733, equation (2) and its symmetrised sum.
    """
    return 4 - 2 * _cosines(za, zb, predictor, targets)


def target_model(model: Model, predictor: Model | None = None, *, averaged: bool = True) -> Model:
    """Return `model` with the parameters of distillation: online, target and predictor.

    `init` gives {"online", "target", "predictor"}, the target starting equal to the online
    network, which itself starts as `model` does from the same key; `apply` is the online network,
    so diagnostics and probes work unchanged.

    Example:
        >>> import jax
        >>> linear = Model(lambda key: jax.random.normal(key, (2, 3)), lambda w, x: x @ w.T)
        >>> sorted(target_model(linear).init(jax.random.key(0)))
        ['online', 'predictor', 'target']

    Args:
        model: the encoder.
        predictor: a model on embeddings, (n, dim) -> (n, dim); None is the identity.
        averaged: whether there is an averaged target; False leaves out the entry "target", so that
            the encoder itself is the target (SimSiam, JEPA).

    Returns:
        A model without infinite-width kernel.
    """

    def init(key: Array) -> Params:
        online = model.init(key)
        head = () if predictor is None else predictor.init(jax.random.fold_in(key, _PREDICTOR))
        params = {"online": online, "predictor": head}
        return params | {"target": jax.tree.map(jnp.copy, online)} if averaged else params

    def apply(params: Params, x: Array) -> Array:
        return model.apply(params["online"], x)

    return Model(init, apply, None, "a stop-gradient on the target leaves no kernel gradient flow")


def target_objective(
    apply: Callable[[Params, Array], Array],
    predictor: Callable[[Params, Array], Array] | None = None,
    loss: Callable[..., Array] = byol_regression,
) -> Callable[[Params, Pairs, Array], Array]:
    r"""Return the objective of a predictor and a target network, for `Problem.objective`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> objective = target_objective(lambda w, x: x @ w.T)
        >>> params = {"online": jnp.eye(2), "predictor": (), "target": jnp.eye(2)[::-1]}
        >>> x = jnp.eye(2)
        >>> print(float(objective(params, Pairs(x, x), jax.random.key(0))))
        4.0

    $$L(\text{online}, \text{predictor}) = \text{loss}(f(x_a), f(x_b);\ q,\ (g(x_a), g(x_b)))$$

    with f the online and g the target network. The gradient with respect to the target is zero:
    wrap the optimiser in `track_target`, which moves it. Without an entry "target" the online
    embeddings are the targets (SimSiam), and no wrapper is needed.

    Args:
        apply: `apply(params, x) -> z` of the encoder.
        predictor: `predictor(params, z) -> z`; None is the identity.
        loss: `simsiam`, `byol_regression`, `jepa`, or any with their arguments.

    Returns:
        `objective(params, pairs, key) -> scalar` with params a dictionary of "online",
        "predictor" (unless `predictor` is None) and, where the network is averaged, "target".
    """

    def objective(params: Params, pairs: Pairs, key: Array) -> Array:  # noqa: ARG001
        views = pairs.first, pairs.second
        za, zb = (apply(entry(params, "online"), x) for x in views)
        averaged = params.get("target")
        targets = None if averaged is None else tuple(apply(averaged, x) for x in views)
        head = None if predictor is None else entry(params, "predictor")
        q = None if predictor is None else lambda z: predictor(head, z)
        return loss(za, zb, predictor=q, targets=targets)

    return objective


class TrackTargetState(NamedTuple):
    """State of `track_target`.

    Attributes:
        step: number of updates so far, int32.
        inner: state of the wrapped optimiser.
    """

    step: Array
    inner: Any


def track_target(
    optimiser: optax.GradientTransformation,
    decay: float | Array | Callable[[Array], Array],
) -> optax.GradientTransformationExtraArgs:
    r"""Wrap an optimiser so that params["target"] follows the online network.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> link = track_target(optax.sgd(1.0), decay=0.75)
        >>> params = {"online": jnp.zeros(()), "target": jnp.zeros(())}
        >>> grads = {"online": jnp.asarray(-4.0), "target": jnp.zeros(())}
        >>> updates, _ = link.update(grads, link.init(params), params)
        >>> print(float(updates["online"]), float(updates["target"]))
        4.0 1.0

    $$\text{target} \leftarrow \text{decay} \cdot \text{target}
    + (1 - \text{decay}) \cdot \text{online}_{\text{new}}$$

    Everything but "target" goes through `optimiser`, but not the target: weight decay
    and momentum do not act on it. The average is over steps, so a run has no gradient-flow time.

    Args:
        optimiser: any optax transformation.
        decay: one number from 0 (the target is the online network) to below 1, or a schedule
            step -> decay. A schedule may reach 1, where the target does not move.

    Returns:
        An optax transformation on dictionaries with "online" and "target". Put nothing after it
        that rescales updates: the target would leave the average.

    Raises:
        InputError: on a decay outside [0, 1), or on an update without `params`.

    References:
        arXiv 2006.07733, equation (1).
    """
    import optax

    if not callable(decay) and not isinstance(decay, jax.core.Tracer):
        try:
            require_number("decay of the target", decay, low=0, below=1)
        except InputError:
            message = f"decay of the target must be at least 0 and below 1; got {shown(decay)}"
            raise InputError(message) from None
    inner = optax.with_extra_args_support(optimiser)

    def init(params: Params) -> TrackTargetState:
        for name in ("online", "target"):
            entry(params, name)
        return TrackTargetState(jnp.zeros((), jnp.int32), inner.init(_trained(params)))

    def update(
        updates: Params, state: TrackTargetState, params: Params | None = None, **extra: Any
    ) -> tuple[Params, TrackTargetState]:
        if params is None:
            message = "track_target averages parameters: call update(updates, state, params)"
            raise InputError(message)
        old = entry(params, "target")
        trained, inner_state = inner.update(
            _trained(updates), state.inner, _trained(params), **extra
        )
        online = optax.apply_updates(entry(params, "online"), entry(trained, "online"))
        kept = decay(state.step) if callable(decay) else decay
        target = jax.tree.map(
            lambda new, old: ((1 - kept) * (new - old)).astype(old.dtype),
            online,
            old,
        )
        return {**trained, "target": target}, TrackTargetState(state.step + 1, inner_state)

    return optax.GradientTransformationExtraArgs(init, update)


def _trained(params: Params) -> Params:
    return {name: value for name, value in params.items() if name != "target"}


def _cosines(
    za: Array,
    zb: Array,
    predictor: Callable[[Array], Array] | None,
    targets: tuple[Array, Array] | None,
) -> Array:
    """Return the mean over samples of cos(q(za), target_b) + cos(q(zb), target_a)."""
    online = prepare(za, zb)
    check_predictor(predictor)
    ta, tb = online if targets is None else prepare(*check_targets(targets))
    pa, pb = online
    if predictor is not None:  # it gets the embeddings in their dtype
        pa, pb = (predictor(z) for z in floating(za=za, zb=zb))
    for name, rows in {"the predictor's output": pa, "targets": ta}.items():
        check_rows(name, rows, online[0], paired=True)
    pa, pb = (unit(p.astype(online[0].dtype)) for p in (pa, pb))
    ta, tb = (jax.lax.stop_gradient(unit(t.astype(pa.dtype))) for t in (ta, tb))
    return (jnp.sum(pa * tb) + jnp.sum(pb * ta)) / len(pa)
