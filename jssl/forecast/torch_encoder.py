"""A PyTorch module as an encoder: its tangent kernel and Jacobian products by torch.func.

PyTorch is optional and is imported only where a module is given.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jssl.errors import InputError
from jssl.forecast.own_encoder import (
    Deviation,
    OwnEncoder,
    check_embeddings,
    check_gram,
    check_rows,
    not_linear,
)

_BYTES = 2**28  # of gradients of single rows
_ROWS = 512  # rows that pass through the module at a time
_SAMPLES = 16


class TorchEncoder:
    """The encoder of a PyTorch module (n, ...) -> (n, dim), at its present parameters."""

    def __init__(self, module: Any) -> None:
        if not hasattr(module, "state_dict") or not hasattr(module, "named_parameters"):
            message = f"torch must be a torch.nn.Module; got {type(module).__name__}"
            raise InputError(message)
        self.torch = importlib.import_module("torch")
        self.func = importlib.import_module("torch.func")
        named = list(module.named_parameters())
        self.module = module
        self.params = {name: p.detach() for name, p in named if p.requires_grad}
        self.fixed = {name: p.detach() for name, p in named if not p.requires_grad}
        self.fixed |= {name: b.detach().clone() for name, b in module.named_buffers()}
        if any(self.torch.finfo(p.dtype).bits < 32 for p in self.params.values()):
            message = "the module's parameters have 16 bits: pass module.float()"
            raise InputError(message)
        if not self.params:
            message = "the module has no parameter that requires a gradient"
            raise InputError(message)

    def embed(self, views: Any) -> np.ndarray:
        """Return the embeddings (rows, dim) of views (rows, ...)."""
        with self.torch.no_grad():
            return np.asarray(self.call(self.params, self.tensor(views)).cpu(), np.float64)

    def read(self, views: Any, dim: int, *, decayed: bool) -> OwnEncoder:
        """Return the mean tangent kernel and the start; see `own_encoder.read_encoder`.

        Raises:
            InputError: as `own_encoder.read_encoder`.
        """
        views = np.asarray(views)
        if decayed:
            raise not_linear()
        self._check_call(views, dim)
        start = self.embed(views)
        check_embeddings(start, len(views), dim, "the module")
        check_rows(self.embed, views, start)
        self._check_gradients(views)
        gram = np.mean([self._kernel(views, k, k) for k in range(dim)], axis=0)
        check_gram(gram)
        rows = views[np.unique(np.linspace(0, len(views) - 1, _SAMPLES).astype(int))]
        rounding = float(self.torch.finfo(self._dtype()).eps)
        return OwnEncoder(gram, start, rounding, self._deviation(rows, dim))

    def _check_call(self, views: np.ndarray, dim: int) -> None:
        """Raise for a module that fails, or that does not return one tensor."""
        few = self.tensor(views[: min(2, len(views))])
        try:
            with self.torch.no_grad():
                found = self.call(self.params, few)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            message = (
                f"the module fails for a batch of views, one tensor ({len(views)}, "
                f"{', '.join(map(str, views.shape[1:]))}): {reason}; {_advice(views.shape)}"
            )
            raise InputError(message) from error
        if self.torch.is_tensor(found) and found.is_complex():
            message = "the encoder's embeddings are complex; return real numbers"
            raise InputError(message)
        if not self.torch.is_tensor(found):
            message = (
                f"the module must return one tensor ({len(views)}, dim = {dim}); for views "
                f"{views.shape} it returns {type(found).__name__}: pass a module whose forward "
                "returns the embeddings alone"
            )
            raise InputError(message)

    def _check_gradients(self, views: np.ndarray) -> None:
        """Raise for a module that torch.func cannot differentiate row by row."""
        try:
            self._gradients(views[:1], 0)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            message = (
                f"torch.func cannot differentiate the module for views {views.shape}: {reason}; "
                "let forward depend on its parameters by differentiable operations, without "
                "changes in place or branches on values"
            )
            raise InputError(message) from error

    def mode_kernel(
        self, views: np.ndarray, weights: np.ndarray, progress: Callable[[float], None]
    ) -> np.ndarray:
        """Return G (r, dim, r, dim), as `jssl.theory.finite_width.mode_kernel`."""
        dim = self.embed(views[:1]).shape[1]
        modes = weights.shape[1]
        blocks = [slice(i, i + _ROWS) for i in range(0, len(views), _ROWS)]
        inputs = [self.tensor(views[block]) for block in blocks]
        parts = [self.tensor(weights[block]) for block in blocks]
        gram = np.empty((modes, dim, modes, dim))
        for output in range(dim):
            for mode in range(modes):
                gradient = self._pull(inputs, parts, mode, output)
                column: np.ndarray = np.zeros((modes, dim))
                for x, w in zip(inputs, parts, strict=True):
                    moved = self.func.jvp(
                        lambda p, x=x: self.call(p, x), (self.params,), (gradient,)
                    )[1]
                    column = column + np.asarray((w.T @ moved).detach().cpu(), np.float64)
                gram[:, :, mode, output] = column
            progress((output + 1) / dim)
        return (gram + np.transpose(gram, (2, 3, 0, 1))) / 2

    def _pull(self, inputs: list[Any], parts: list[Any], mode: int, output: int) -> dict[str, Any]:
        """Return J^T of the weights of one mode in one output."""
        total: dict[str, Any] = {}
        for x, w in zip(inputs, parts, strict=True):
            z, backward = self.func.vjp(lambda p, x=x: self.call(p, x), self.params)
            cotangent = self.torch.zeros_like(z)
            cotangent[:, output] = w[:, mode]
            (gradient,) = backward(cotangent)
            total = {name: g.detach() + total.get(name, 0) for name, g in gradient.items()}
        return total

    def _kernel(self, views: np.ndarray, first: int, second: int) -> np.ndarray:
        """Return Theta_kl (rows, rows) of two outputs."""
        size = sum(p.numel() * p.element_size() for p in self.params.values())
        block = int(np.clip(_BYTES // size, 1, len(views)))
        starts = range(0, len(views), block)
        kernel = np.empty((len(views), len(views)))
        for i in starts:
            left = self._gradients(views[i : i + block], first)
            for j in starts:
                if first == second and j < i:
                    kernel[i : i + block, j : j + block] = kernel[j : j + block, i : i + block].T
                    continue
                same = i == j and first == second
                right = left if same else self._gradients(views[j : j + block], second)
                kernel[i : i + block, j : j + block] = np.asarray((left @ right.T).cpu())
        return kernel

    def _gradients(self, views: np.ndarray, output: int) -> Any:
        """Return the gradients (rows, parameters) of one output at each row."""

        def one(params: dict[str, Any], x: Any) -> Any:
            return self.call(params, x[None])[0, output]

        each = self.func.vmap(self.func.grad(one), in_dims=(None, 0))
        found = each(self.params, self.tensor(views))
        flat = [g.detach().reshape(len(views), -1) for g in found.values()]
        return self.torch.cat(flat, dim=1)

    def _deviation(self, rows: np.ndarray, dim: int) -> Deviation:
        n = len(rows)
        gradients = [self._gradients(rows, k) for k in range(dim)]
        flat = self.torch.cat(gradients)  # output by output
        theta = np.asarray((flat @ flat.T).cpu(), np.float64).reshape(dim, n, dim, n)
        return Deviation.of(np.transpose(theta, (1, 0, 3, 2)))

    def call(self, params: dict[str, Any], x: Any) -> Any:
        """Return the embeddings, a tensor, at other parameters."""
        return self.func.functional_call(self.module, params | self.fixed, (x,))

    def _dtype(self) -> Any:
        return next(iter(self.params.values())).dtype

    def tensor(self, x: Any) -> Any:
        """Return an array as a tensor with the dtype and on the device of the parameters."""
        like = next(iter(self.params.values()))
        return self.torch.tensor(np.array(x), dtype=like.dtype, device=like.device)


def _advice(shape: tuple[int, ...]) -> str:
    """Return what to change where a module does not take views of a shape."""
    if len(shape) == 4 and shape[-1] <= 4 < shape[1]:
        return (
            "convolutions of PyTorch take (n, channels, height, width): pass pairs whose views are "
            "numpy.moveaxis(x, -1, 1)"
        )
    if len(shape) == 2:
        return (
            "pass a module with forward(self, x) for rows of numbers, or pairs in the shape that "
            "it takes, such as images (n, channels, height, width)"
        )
    return "pass a module with forward(self, x), and pairs in the shape that it takes"
