r"""NNGP and NTK of dense networks of infinite width, in one pass over the layers.

For h' = (g / sqrt(n)) W phi(h) + b B, with h Gaussian of covariance K (Jacot et al., 1806.07572),

    K' = g^2 E[phi(u) phi(v)] + b^2,    NTK' = K' + g^2 NTK E[phi'(u) phi'(v)],

and a residual block adds both to those before it. A covariance c is carried as its two gaps,
1 - r and 1 + r with r = c / sqrt(p q), and the roots of the variances p and q. Either gap of a
sum of covariances c + C is

    [sqrt(p q) gap + sqrt(P Q) Gap + (sqrt(p Q) - sqrt(P q))^2 / S] / sqrt((p + P) (q + Q)),
    S = sqrt((p + P) (q + Q)) + sqrt(p q) + sqrt(P Q),

without a difference of nearly equal numbers; a bias is a covariance of gaps 0 and 2. Nearly equal
and nearly opposite inputs therefore keep their digits through all layers, in float32 as well.
"""

from typing import Any, NamedTuple

from jssl.models.correlation import namespace, safe_root
from jssl.models.expectations import Gaps, activate, root_mean_square


class Network(NamedTuple):
    """A dense network, up to its gains.

    Attributes:
        activation: its name.
        hidden: number of hidden layers, or of residual blocks.
        residual: whether the hidden layers are residual blocks.
        biased: whether there are biases.
    """

    activation: str
    hidden: int
    residual: bool = False
    biased: bool = False


class Gains(NamedTuple):
    """Numbers of a dense network; each may be traced.

    Attributes:
        weight: g of the layers, of a residual network the first and the last one.
        branch: of the layers inside residual blocks.
        bias: b.
        output: factor of the last layer's start.
    """

    weight: Any
    branch: Any = 1.0
    bias: Any = 0.0
    output: Any = 1.0


class Side(NamedTuple):
    """What the recursion needs of one set of inputs.

    Attributes:
        root: (n,) lengths of the inputs over sqrt(in).
        after: (hidden, n) root mean squares of the activations of every layer.
    """

    root: Any
    after: Any


def side(network: Network, gains: Gains, root: Any) -> Side:
    """Return the root mean squares of all layers for inputs of length sqrt(in) root, (n,)."""
    xp = namespace(root, *gains)
    inner = gains.branch if network.residual else gains.weight
    before, after = _with_bias(network, gains, gains.weight * root), []
    for _ in range(network.hidden):
        after.append(root_mean_square(network.activation, before))
        step = _with_bias(network, gains, inner * after[-1])
        before = _hypot(before, step) if network.residual else step
    if network.residual:
        after.append(root_mean_square(network.activation, before))
    return Side(root, xp.stack(after) if after else xp.zeros((0, *root.shape), root.dtype))


def propagate(
    network: Network, gains: Gains, gap: Any, first: Side, second: Side
) -> tuple[Any, Any]:
    """Return NNGP and NTK.

    Example:
        >>> import numpy as np
        >>> net, gains = Network("relu", 1), Gains(2**0.5)
        >>> both = side(net, gains, np.ones(1))
        >>> nngp, ntk = propagate(net, gains, np.zeros((1, 1)), both, both)
        >>> nngp.round(6).tolist(), ntk.round(6).tolist()  # one input with itself
        ([[2.0]], [[4.0]])

    Args:
        network: its layers.
        gains: its numbers.
        gap: (n1, n2) signed gaps between the inputs, as in `jssl.models.correlation`.
        first: `side` of the n1 inputs.
        second: of the n2 inputs.
    """
    phi, inner = network.activation, gains.branch if network.residual else gains.weight
    roots = gains.weight * first.root[:, None], gains.weight * second.root[None]
    at = _Covariance(_both_gaps(gap), *roots)
    at = _biased(network, gains, at)
    nngp = tangent = at.value()
    for layer in range(len(first.after)):
        after = first.after[layer][:, None], second.after[layer][None]
        found = activate(phi, at.gaps, at.first, at.second, after)
        last = network.residual and layer == network.hidden
        gain = gains.weight if last else inner
        step = _biased(network, gains, _Covariance(found.gaps, gain * after[0], gain * after[1]))
        value = step.value()
        change = value + gain**2 * tangent * found.slope
        if network.residual and not last:
            at, nngp, tangent = _plus(at, step), nngp + value, tangent + change
        else:
            at, nngp, tangent = step, value, change
    size = gains.output**2
    return size * nngp, nngp + size * (tangent - nngp)


class _Covariance(NamedTuple):
    gaps: Gaps  # (n1, n2)
    first: Any  # (n1, 1) sqrt(p)
    second: Any  # (1, n2) sqrt(q)

    def value(self) -> Any:
        return self.first * self.second * (1 - self.gaps.equal)


def _both_gaps(signed: Any) -> Gaps:
    xp = namespace(signed)
    small = xp.clip(xp.abs(signed), 0, 1)
    is_far = signed < 0
    return Gaps(xp.where(is_far, 2 - small, small), xp.where(is_far, small, 2 - small))


def _with_bias(network: Network, gains: Gains, root: Any) -> Any:
    return _hypot(root, gains.bias) if network.biased else root


def _biased(network: Network, gains: Gains, at: _Covariance) -> _Covariance:
    if not network.biased:
        return at
    constant = namespace(*at.gaps, gains.bias).asarray(gains.bias, at.gaps.equal.dtype)
    return _plus(at, _Covariance(Gaps(0.0, 2.0), constant, constant))


def _hypot(a: Any, b: Any) -> Any:
    return safe_root(a * a + b * b)


def _plus(one: _Covariance, two: _Covariance) -> _Covariance:
    """Return the covariance of a sum of independent parts."""
    xp = namespace(one.gaps.equal, two.first)
    first, second = _hypot(one.first, two.first), _hypot(one.second, two.second)
    size, own, other = first * second, one.first * one.second, two.first * two.second
    positive = size > 0
    mixed = (one.first * two.second - two.first * one.second) ** 2
    mixed = mixed / xp.where(positive, size + own + other, 1)
    gaps = [
        xp.where(positive, (own * a + other * b + mixed) / xp.where(positive, size, 1), 1)
        for a, b in zip(one.gaps, two.gaps, strict=True)
    ]
    return _Covariance(Gaps(*gaps), first, second)
