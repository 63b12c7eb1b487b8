r"""When later dimensions start from the leak and not from the small start (F-4, F-6).

While dimension 1 is learned in one output, it moves the other outputs of a network of width n by an
amount of order n^{-1/2} (`jssl.theory.finite_width.leak`). Mode j then starts from the larger of
its own start, grown until then, and the leak. As the start goes to zero, the time of mode j
stays at t_1 + log(n / c_j) / (8 gamma_j): steps separate as log(width), and a smaller start delays
dimension 1 only.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jssl.types import Array


def leaked_times(first_time: Array, starts: Array, eigenvalues: Array, leaks: Array) -> Array:
    """Return the times at which modes are learned, starting from the start and the leak (F-6).

    Example:
        >>> gamma = jnp.array([0.1])
        >>> times = [leaked_times(5.0, jnp.array([s]), gamma, jnp.array([1e-4])) for s in (1e-8, 0)]
        >>> print(*(round(float(t[0]), 2) for t in times))  # the start hardly matters
        16.51 16.51

    t_j = t_1 + log(1 / (s_j^2 e^{8 gamma_j t_1} + leak_j)) / (8 gamma_j). The two contributions are
    independent, so their mean squares add. Where their sum is 1 or more, the time is t_1.

    Args:
        first_time: t_1, learning rate x step at which dimension 1 is learned.
        starts: (k,) s_j^2, eigenvalues of C at the start, of modes 2 and later.
        eigenvalues: (k,) gamma_j > 0 of the contrastive kernel.
        leaks: (k,) eigenvalues of C right after t_1 from the leak, c_j / width.

    Returns:
        (k,) times.
    """
    rate = 8 * eigenvalues
    size = starts * jnp.exp(rate * first_time) + leaks
    return first_time - jnp.minimum(jnp.log(size), 0) / rate


def leak_variance(
    derivative: Callable[[Array], Array],
    x: Array,
    weights: Array,
    key: Array,
    *,
    weight_std: float = 1.0,
    neurons: int = 4096,
) -> Array:
    r"""Return n times the variance of G[(i, k), (j, u)], k != u, of one hidden layer (F-4).

    Example:
        >>> x, weights = jnp.eye(2), jnp.eye(2)
        >>> linear = leak_variance(jnp.ones_like, x, weights, jax.random.key(0))
        >>> linear.tolist()  # deep linear: (w_i . w_j)^2 / inputs^2, exactly
        [[0.25, 0.0], [0.0, 0.25]]

    For z_k(x) = (g / sqrt(n)) sum_i a_ki phi(h_i), h_i = (g / sqrt(inputs)) v_i . x with standard
    normal a and v, the block Theta_ku has mean 0 and covariance

        E[Theta_ku(x, x') Theta_ku(y, y')] =
            (g^8 / n) E_h[phi'(h_x) phi'(h_x') phi'(h_y) phi'(h_y')] (x . x') (y . y') / inputs^2.

    The readout's parameters contribute to k = u only. Contracted with the weights, the mean is
    that of (m_i . m_j)^2 over hidden neurons, m_j = sum_x w_j(x) phi'(h(x)) x. It is estimated by
    random neurons. Divided by gamma_1^2 and multiplied by the number of the other outputs, it is
    the constant c_j of F-6 for i = mode j and j = mode 1.

    Args:
        derivative: phi', elementwise.
        x: (rows, inputs).
        weights: (rows, r) the w_j of `mode_kernel`.
        key: of the random neurons.
        weight_std: g of both layers.
        neurons: number of random neurons.

    Returns:
        (r, r) symmetric.
    """
    inputs = x.shape[1]
    scale = weight_std / inputs**0.5
    product = partial(jnp.matmul, precision="highest")

    def square(draw: Array) -> Array:
        v = jax.random.normal(draw, (inputs,), x.dtype)
        slopes = derivative(scale * product(x, v))
        m = product((weights * slopes[:, None]).T, x)
        return jnp.square(product(m, m.T))

    total = jax.lax.map(square, jax.random.split(key, neurons), batch_size=64).mean(0)
    return weight_std**8 / inputs**2 * total
