r"""The tangent kernel of all outputs between a few modes, for a network of dense layers.

    G[(i, k), (j, m)] = sum_xy w_i(x) w_j(y) sum_l (s_lk(x) . s_lm(y)) (a_l(x) . a_l(y))

with a_l the inputs of layer l and s_lk the derivatives of output k by its outputs. It is the matrix
of `blocks.mode_kernel`. That computes two products with the Jacobian for each mode and output, of
rows x parameters multiplications each; this one rows^2 x neurons for each pair of outputs and
layer. Where s_lk(x)_n = c_kn p_n(x), as in the last hidden layer, the sums over x are those of
neuron n alone,

    sum_n c_kn c_mn M_n,    M_n[i, j] = (w_i p_n)^T a_l a_l^T (w_j p_n)
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.errors import InputError
from jssl.single_use import MATRIX_STEPS
from jssl.types import Array


def layered_mode_kernel(layers: Sequence[Any], weights: Array) -> np.ndarray:
    """Return G (r, dim, r, dim), as `mode_kernel`, in float64.

    Example:
        >>> x = jnp.array([[1.0, 2.0], [0.0, 1.0]])
        >>> gram = layered_mode_kernel([(x, jnp.ones((2, 3)), jnp.eye(3))], jnp.eye(2))
        >>> gram.shape, gram[:, 0, :, 0].tolist()  # of a linear map to 3 outputs
        ((2, 3, 2, 3), [[5.0, 2.0], [2.0, 1.0]])

    Args:
        layers: (inputs, signals, readout) of each layer, as `jssl.models.factors.LayerFactors`:
            inputs (rows, columns); signals (dim, rows, neurons) s_lk(x) and None, or (rows,
            neurons) p_n(x) and readout (dim, neurons) c_kn. Matrices (rows, rows) are held.
        weights: (rows, r) the w_j.

    Raises:
        InputError: if rows or outputs differ.
    """
    shapes = {
        (
            len(inputs),
            *(signals.shape[:2] if readout is None else (len(readout), len(signals)))[::-1],
        )
        for inputs, signals, readout in layers
    }
    rows, dim = len(weights), next(iter(shapes))[-1]
    if shapes != {(rows, rows, dim)}:
        message = f"all layers must have the {rows} rows of weights, and the same outputs"
        raise InputError(message)
    first, second = np.triu_indices(dim)
    like = np.asarray(weights, layers[0][0].dtype)
    found = np.asarray(_compiled()(tuple(map(tuple, layers)), like, first, second), np.float64)
    gram = np.empty((dim, dim, *found.shape[1:]))
    gram[first, second] = found
    gram[second, first] = np.swapaxes(found, 1, 2)
    return np.transpose(gram, (2, 0, 3, 1))


@cache
def _compiled() -> Any:
    """Return one program for all networks of an architecture."""

    def blocks(layers: Any, weights: Array, first: Array, second: Array) -> Array:
        """Return G between pairs of outputs (pairs, r, r)."""
        with jax.default_matmul_precision("highest"):
            parts = [
                _separable(inputs, signals, readout, weights, first, second)
                for inputs, signals, readout in layers
                if readout is not None
            ]
            others = [(a @ a.T, signals) for a, signals, readout in layers if readout is None]
            if others:
                parts.append(_coupled(others, weights, first, second))
            return sum(parts[1:], parts[0])

    return jax.jit(blocks, compiler_options=MATRIX_STEPS)


def _separable(
    inputs: Array, slopes: Array, readout: Array, weights: Array, first: Array, second: Array
) -> Array:
    """Return the share of a layer whose signals are products, (pairs, r, r)."""
    wide = inputs.shape[1] > len(inputs)
    root = jnp.asarray(inputs @ inputs.T) if wide else inputs

    def of_neuron(slope: Array) -> Array:
        own = (weights * slope[:, None]).T
        moved = own @ root
        return moved @ (own if wide else moved).T

    each = jax.lax.map(of_neuron, slopes.T)
    return jnp.tensordot(readout[first] * readout[second], each, 1)


def _coupled(
    layers: Sequence[tuple[Array, Array]], weights: Array, first: Array, second: Array
) -> Array:
    """Return the share of layers (kernel of the inputs, signals), (pairs, r, r)."""

    def block(pair: tuple[Array, Array]) -> Array:
        parts = [kernel * (s[pair[0]] @ s[pair[1]].T) for kernel, s in layers]
        return weights.T @ sum(parts[1:], parts[0]) @ weights

    return jax.lax.map(block, (first, second))
