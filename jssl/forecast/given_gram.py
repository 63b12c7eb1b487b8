r"""A Gram matrix of the user's encoder, computed elsewhere, in the place of the encoder.

Rows are all first views and then all second views. Two shapes are read:

    (2n, 2n)              the tangent kernel of one output, common to all of them
    (2n, 2n, dim, dim)    all blocks: entry [i, j, k, l] = <d f_k(x_i)/d theta, d f_l(x_j)/d theta>

The second is that of `jssl.kernels.empirical_ntk(outputs="full")`. Without the embeddings at the
start, the start is that of an encoder that is linear in standard normal parameters, whose
embeddings have the Gram matrix as their covariance.
"""

from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import to_numpy
from jssl.errors import InputError
from jssl.forecast.own_encoder import Deviation, OwnEncoder, check_embeddings, not_linear

_ASYMMETRY = 1e-3  # of the largest entry: products in TF32 or bfloat16 are that exact
_NEGATIVE = 3e-3  # of the Frobenius norm
_SAMPLES = 32


class GramEncoder(NamedTuple):
    """A Gram matrix and a start, as they were given.

    Attributes:
        gram: (2n, 2n) or (2n, 2n, dim, dim).
        start: (2n, dim) embeddings at the start, or None for a random start.
    """

    gram: np.ndarray
    start: np.ndarray | None

    @property
    def has_blocks(self) -> bool:
        """Whether the Gram matrix has the blocks between outputs."""
        return self.gram.ndim == 4

    def read(self, rows: int, dim: int, *, decayed: bool) -> OwnEncoder:
        """Return the mean tangent kernel and the start.

        Raises:
            InputError: for shapes that do not fit the pairs and dim, a matrix that is not symmetric
                or has negative eigenvalues, embeddings that are all zero, and weight decay.
        """
        if decayed:
            raise not_linear()
        expected = (rows, rows, dim, dim) if self.has_blocks else (rows, rows)
        if self.gram.shape != expected:
            raise _wrong_shape(self.gram.shape, rows, dim)
        swapped = self.gram.transpose(1, 0, 3, 2) if self.has_blocks else self.gram.T
        largest = float(np.abs(self.gram).max())
        if np.abs(self.gram - swapped).max() > _ASYMMETRY * largest or not largest:
            message = (
                "gram must be a symmetric matrix of products of gradients and not zero; entry "
                "(i, j) must equal entry (j, i)"
            )
            raise InputError(message)
        mean = np.einsum("ijkk->ij", self.gram) / dim if self.has_blocks else self.gram
        _require_positive(mean)
        if self.start is not None:
            if self.start.shape != (rows, dim):
                message = f"start must be ({rows}, {dim}), the embeddings at the start of all first"
                message = f"{message} views and then all second views; got {self.start.shape}"
                raise InputError(message)
            check_embeddings(self.start, rows, dim)
        deviation = Deviation(0.0, 0.0)
        if self.has_blocks:
            chosen = np.unique(np.linspace(0, rows - 1, _SAMPLES).astype(int))
            deviation = Deviation.of(self.gram[np.ix_(chosen, chosen)].transpose(0, 2, 1, 3))
        return OwnEncoder(mean, self.start, float(np.finfo(np.float32).eps), deviation)

    def mode_kernel(self, weights: np.ndarray) -> np.ndarray:
        """Return G (r, dim, r, dim), as `jssl.theory.finite_width.mode_kernel`.

        Args:
            weights: (2n, r).
        """
        if not self.has_blocks:
            assert self.start is not None
            inside = weights.T @ self.gram @ weights
            return np.einsum("ij,kl->ikjl", inside, np.eye(self.start.shape[1]))
        half = np.tensordot(weights, self.gram, (0, 0))  # (r, 2n, dim, dim)
        gram = np.tensordot(half, weights, (1, 0)).transpose(0, 1, 3, 2)
        return (gram + gram.transpose(2, 3, 0, 1)) / 2

    def coordinates(self, weights: np.ndarray, gram: np.ndarray, draw: int | None) -> np.ndarray:
        """Return the coordinates (r, dim) of the start, the given one or random draw `draw`.

        Args:
            weights: (2n, r).
            gram: (r, dim, r, dim) of `mode_kernel`, the covariance of a random start.
            draw: seed of a random start.
        """
        if draw is None:
            assert self.start is not None
            return weights.T @ self.start
        modes, dim = gram.shape[:2]
        energy, basis = np.linalg.eigh(gram.reshape(modes * dim, modes * dim))
        normal = np.random.default_rng(draw).normal(size=modes * dim)
        drawn: np.ndarray = basis @ (np.sqrt(np.maximum(energy, 0)) * normal)
        return drawn.reshape(modes, dim)


def given_gram(gram: Any, start: Any) -> GramEncoder | None:
    """Return a Gram matrix of NumPy, JAX or PyTorch and a start; None without both.

    Example:
        >>> given_gram(np.eye(4, dtype=np.float32), None).gram.dtype
        dtype('float64')
        >>> given_gram(None, np.ones((4, 2)))
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: start belongs to gram=; other encoders have a start of their own

    Raises:
        InputError: for arrays that are not real numbers, not finite or of another rank.
    """
    if gram is None:
        if start is not None:
            message = "start belongs to gram=; other encoders have a start of their own"
            raise InputError(message)
        return None
    arrays = {"gram": gram} | ({} if start is None else {"start": start})
    read = {}
    for name, given in arrays.items():
        x = to_numpy(name, given)
        if x.dtype.kind not in "fiu":
            message = f"{name} must be floating point or integers; got {x.dtype}"
            raise InputError(message)
        if not np.isfinite(x).all():
            message = f"{name} has values that are not finite"
            raise InputError(message)
        read[name] = x.astype(np.float64)
    return GramEncoder(read["gram"], read.get("start"))


def _wrong_shape(shape: tuple[int, ...], rows: int, dim: int) -> InputError:
    hint = ""
    if shape == (rows * dim, rows * dim) and dim > 1:
        hint = (
            f". For J J^T with rows (sample, output): gram.reshape({rows}, {dim}, {rows}, {dim})"
            ".swapaxes(1, 2)"
        )
    return InputError(
        f"gram must be ({rows}, {rows}), the kernel of one output, or ({rows}, {rows}, {dim}, "
        f"{dim}), with all blocks between outputs, for these {rows // 2} pairs; got {shape}{hint}"
    )


def _require_positive(kernel: np.ndarray) -> None:
    """Raise for a kernel with eigenvalues that are clearly negative."""
    shift = _NEGATIVE * float(np.linalg.norm(kernel))
    try:
        np.linalg.cholesky((kernel + kernel.T) / 2 + shift * np.eye(len(kernel)))
    except np.linalg.LinAlgError as error:
        message = (
            "gram has negative eigenvalues, so it is no matrix of products of gradients; check its "
            "rows (all first views, then all second views) and its precision"
        )
        raise InputError(message) from error
