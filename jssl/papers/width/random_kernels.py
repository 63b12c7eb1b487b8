"""Kernels of random networks: their mean over starts is the kernel of infinite width.

With one hidden layer, f_k(x) = w^(-1/2) sum_j a_kj phi(b_j . x / in^(1/2)), both kernels

    <f_k(x) f_k(x')>    and    Theta_kk(x, x') = sum_p df_k(x)/dp df_k(x')/dp

are sums over neurons that are independent and equally distributed. Their means over random weights
are therefore the NNGP kernel and the NTK of infinite width at every width; only their spread
decreases with it. The networks and the formulas of the limit share no code, so that a wrong gain of
a layer or a wrong kernel is seen here, where exponents in the width are blind to it.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.kernels import empirical_ntk, infinite
from jssl.models import mlp
from jssl.papers.claims import close
from jssl.papers.outcome import Part, Settings
from jssl.papers.width.architectures import COUNT, INPUTS
from jssl.papers.width.samples import clear_pairs
from jssl.single_use import compile_for_many_steps
from jssl.types import Array, Claim, Rival

WIDTH, OUTPUTS, TOGETHER = 32, 8, 64
SOURCE = "Derived here; not in the papers"


def mean_kernels(settings: Settings) -> Part:
    """Test the means of both kernels over the starts of narrow networks."""
    count = 1024 if settings.scale == "quick" else 8192
    settings.progress("kernels of random networks", 0.0)
    data, _ = clear_pairs(settings, COUNT, (INPUTS,))
    x = jnp.concatenate([data.first, data.second])
    model = mlp(INPUTS, OUTPUTS, width=WIDTH, depth=1, activation="tanh", dtype=jnp.float64)
    ntk, nngp = (np.asarray(infinite.kernel(model, x, kind=kind)) for kind in ("ntk", "nngp"))

    def products(key: Array) -> Array:
        """Return the inner products of the kernels of one network with those of the limit."""
        params = model.init(key)
        z = model.apply(params, x)
        found = empirical_ntk(model.apply, params, x), z @ z.T / OUTPUTS
        return jnp.stack([jnp.vdot(found[0], ntk), jnp.vdot(found[1], nngp)])

    program = compile_for_many_steps(
        lambda keys: jax.lax.map(products, keys, batch_size=TOGETHER), products=True
    )
    values = np.asarray(program(settings.keys(count, 79)))
    values = values / [np.vdot(ntk, ntk), np.vdot(nngp, nngp)]
    linear = np.asarray(x @ x.T) / INPUTS
    return Part(
        [
            _tangent_claim(values[:, 0], ntk, nngp),
            _covariance_claim(values[:, 1], ntk, nngp, linear),
        ],
        [],
    )


def _tangent_claim(values: np.ndarray, ntk: np.ndarray, nngp: np.ndarray) -> Claim:
    return close(
        "width/mean-tangent-kernel",
        "At any width, the mean tangent kernel of random networks with one hidden layer is that "
        "of infinite width.",
        SOURCE,
        1.0,
        rivals=[
            Rival("a correction of order 1 / width, as in deeper networks", 1 + 1 / WIDTH),
            Rival("the kernel of the last layer alone", _share(nngp, ntk)),
        ],
        **_measured(values),
    )


def _covariance_claim(
    values: np.ndarray, ntk: np.ndarray, nngp: np.ndarray, linear: np.ndarray
) -> Claim:
    return close(
        "width/mean-output-covariance",
        "At any width, the covariance of the outputs of random networks with one hidden layer is "
        "the NNGP kernel.",
        SOURCE,
        1.0,
        rivals=[
            Rival("the tangent kernel", _share(ntk, nngp)),
            Rival("that of linear units, which do not saturate", _share(linear, nngp)),
        ],
        **_measured(values),
    )


def _share(kernel: np.ndarray, unit: np.ndarray) -> float:
    """Return a kernel in units of another, by the inner product of matrices."""
    return float(np.vdot(kernel, unit) / np.vdot(unit, unit))


def _measured(values: np.ndarray) -> dict[str, Any]:
    """Return what both claims say of the values of all networks."""
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return {
        "measured": float(values.mean()),
        "tolerance": 3.9 * error,
        "standard_error": error,
        "details": f"{len(values):,} networks with {WIDTH} tanh neurons and {OUTPUTS} outputs, at "
        "the start. The measured value is the mean of <K, L> / <L, L>, where K is the kernel of a "
        "network at all views and L that of infinite width. The tolerance is 3.9 standard errors.",
    }
