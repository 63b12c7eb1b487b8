r"""The floor that noise gives to a mode that has not been learned yet (F-7).

Near zero, a coordinate of mode j follows dB = 4 gamma_j B dt + sigma dw. Then B(t) e^{-4 gamma_j t}
has mean B(0) and a variance that tends to sigma^2 / (8 gamma_j): the noise acts as a start of

    s_j^2 = B(0)^2 + sigma^2 / (8 gamma_j).

Fresh views and mini-batches alone give no such noise. The losses of this project are even in every
output: they do not change when the sign of output k is flipped, in every batch. Their gradient with
respect to output k is thus zero where that output is zero, and at infinite width, where an
output is moved by its own gradient only, a start of zero stays at zero in every batch. Noise enters
through the blocks Theta_ku of a network of finite width: output k is moved by the noise in
the coefficients a_u of an output that is learned already,

    sigma_jk^2 = sum_i G[(j, k), (i, u)]^2 var(a_iu) / time,

which is of order learning rate / (batch x width).

Batches have another effect, which does not depend on the learning rate. A learned dimension u of
scale 1 / gamma_u^{1/2} acts on a small mode j through the noise of the batch's moment M twice,
-4 B_j E[M_ju^2] / gamma_u, and so slows its growth:

    growth = 4 gamma_j (1 - sum_u kappa_ju / (b + rho_u^2 + 1)),   kappa_ju = (rho_j rho_u + 1) / 2,

for b independent Gaussian pairs in a batch, rho >= 1 the variance of a view over the covariance of
the two views, in each mode. The second term in the denominator is the shrinkage of the learned
scale, gamma_u s_u^2 = 1 / (1 + (rho_u^2 + 1) / b), by the variance of M_uu.
"""

import jax.numpy as jnp

from jssl.types import Array


def effective_start(start: Array, noise: Array, eigenvalues: Array) -> Array:
    """Return the squared start that has the effect of a start and of additive noise (F-7).

    Example:
        >>> print(f"{effective_start(jnp.array(1e-6), jnp.array(8e-6), jnp.array(0.5)):.1e}")
        3.0e-06

    Args:
        start: B(0)^2.
        noise: sigma^2, variance per unit of t = learning rate x step. Noise of variance v in each
            step has sigma^2 = v / learning rate.
        eigenvalues: gamma_j > 0.

    Returns:
        start + noise / (8 gamma_j).
    """
    return start + noise / (8 * eigenvalues)


def batch_slowdown(ratio: Array, learned: Array, batch: int) -> Array:
    """Return the share by which noise of batches slows the growth of a small mode.

    Example:
        >>> print(batch_slowdown(jnp.array(1.0), jnp.array([1.0, 1.0]), 62))  # 2 of 64
        0.03125

    Args:
        ratio: rho_j of the small mode, any shape: variance of a view over the covariance of the two
            views, >= 1.
        learned: (k,) the same of the modes that are learned already.
        batch: number of pairs in a batch, drawn anew in every step.

    Returns:
        sum_u (rho_j rho_u + 1) / (2 (batch + rho_u^2 + 1)), of the shape of `ratio`.
    """
    ratio = jnp.asarray(ratio)[..., None]
    return ((ratio * learned + 1) / (2 * (batch + learned**2 + 1))).sum(-1)


def leaked_noise(gram: Array, variance: Array, output: int) -> Array:
    """Return sigma^2 of every mode and output from the noise in one learned output.

    Example:
        >>> gram = jnp.zeros((1, 2, 1, 2)).at[0, 1, 0, 0].set(0.1)
        >>> print(leaked_noise(gram, jnp.array([4.0]), 0).round(4))
        [[0.   0.04]]

    Args:
        gram: (r, dim, r, dim) of `mode_kernel`.
        variance: (r,) variance per unit of time of the gradient's coefficients of that output.
        output: u.

    Returns:
        (r, dim); the column of `output` itself is 0, since its noise is not a start.
    """
    noise = jnp.einsum("jki,i->jk", jnp.square(gram[:, :, :, output]), variance)
    return noise.at[:, output].set(0)
