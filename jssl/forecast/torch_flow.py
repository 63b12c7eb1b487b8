"""The gradient flow of a PyTorch module's parameters, for `jssl.forecast.own_flow`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jssl.forecast.torch_encoder import TorchEncoder
from jssl.theory.finite_width.host_stabilised import System
from jssl.types import Array

_ROWS = 512  # rows that pass through the module at a time
_BESIDE = 1e-3  # of the norm of the parameters


class TorchSystem(System):
    """The flow db/dt = -grad L of the change b of a module's parameters.

    The loss is a function of JAX, which gives its gradient with respect to the embeddings; products
    with the Jacobian by PyTorch give the rest.
    """

    def __init__(
        self,
        encoder: TorchEncoder,
        views: np.ndarray,
        loss: Callable[[Array, Array], Array],
        weights: np.ndarray,
        scale: float,
    ) -> None:
        self._encoder, self._weights, n = encoder, weights, len(views) // 2
        self._inputs = [encoder.tensor(views[i : i + _ROWS]) for i in range(0, 2 * n, _ROWS)]
        self._names = list(encoder.params)
        self._shapes = [tuple(encoder.params[name].shape) for name in self._names]
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        self._cuts, self.size = np.cumsum(sizes)[:-1], sum(sizes)
        squares = [float((p.double() ** 2).sum()) for p in encoder.params.values()]
        self.beside = _BESIDE * float(np.sqrt(sum(squares)))
        self._gradient = jax.jit(jax.grad(lambda z: loss(z[:n], z[n:])))
        self._base: Any = 0.0
        self._base = (1 - scale) * self._embed(np.zeros(self.size))
        self.embedded = self._base
        self.dim = self.embedded.shape[1]

    def slope(self, b: np.ndarray) -> np.ndarray:
        """Return -grad L, (size,)."""
        params = self._moved_params(b)
        if len(self._inputs) == 1:
            return -self._pull(params, self._inputs[0], self._of_loss)
        # A pass of its own for the gradient of the loss: one block is in memory at a time.
        every = self._of_loss(self._embed(b) + self._base)
        total = np.zeros(self.size)
        for i, x in enumerate(self._inputs):
            block = every[i * _ROWS : (i + 1) * _ROWS]
            total -= self._pull(params, x, partial(_given, block))
        return total

    def observe(self, b: np.ndarray) -> np.ndarray:
        """Return the embeddings' coordinates in the modes, (modes, dim)."""
        self.embedded = self._embed(b)
        return self._weights.T @ self.embedded

    def moved(self, b: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return the change of the coordinates to first order, (modes, dim)."""
        func, params, tangent = self._encoder.func, self._moved_params(b), self._split(change)
        parts = [
            func.jvp(lambda p, x=x: self._encoder.call(p, x), (params,), (tangent,))[1]
            for x in self._inputs
        ]
        return self._weights.T @ _numpy(self._encoder.torch.cat(parts))

    def _of_loss(self, outputs: np.ndarray) -> np.ndarray:
        """Return the gradient of the loss with respect to the module's outputs (2n, dim)."""
        return np.asarray(self._gradient(jnp.asarray(outputs - self._base)))

    def _pull(
        self, params: dict[str, Any], x: Any, of_z: Callable[[Any], np.ndarray]
    ) -> np.ndarray:
        """Return J^T of a function of the outputs of a block."""
        z, backward = self._encoder.func.vjp(lambda p: self._encoder.call(p, x), params)
        (gradient,) = backward(self._encoder.tensor(of_z(_numpy(z))))
        return np.concatenate([_numpy(gradient[name]).ravel() for name in self._names])

    def _embed(self, b: np.ndarray) -> np.ndarray:
        params = self._moved_params(b)
        with self._encoder.torch.no_grad():
            z = self._encoder.torch.cat([self._encoder.call(params, x) for x in self._inputs])
        return _numpy(z) - self._base

    def _split(self, change: np.ndarray) -> dict[str, Any]:
        """Return the tensors of a vector (size,)."""
        parts = zip(self._names, np.split(change, self._cuts), self._shapes, strict=True)
        return {name: self._encoder.tensor(part.reshape(shape)) for name, part, shape in parts}

    def _moved_params(self, b: np.ndarray) -> dict[str, Any]:
        return {name: self._encoder.params[name] + part for name, part in self._split(b).items()}


def _numpy(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().cpu(), np.float64)


def _given(block: np.ndarray, _: np.ndarray) -> np.ndarray:
    """Return a gradient that is known for the embeddings of a block."""
    return block
