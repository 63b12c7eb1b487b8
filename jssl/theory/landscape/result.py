"""The landscape of a loss as `calculator` states it: its minimum, stationary points and flow."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from jssl.errors import InputError
from jssl.theory.landscape import flow, stationary
from jssl.theory.landscape.dictionary import Form, energy
from jssl.theory.landscape.stationary import Modes
from jssl.theory.landscape.thresholds import Thresholds
from jssl.types import Array, Trajectory

EXACT, GAUSSIAN, LEADING = "exact", "exact for Gaussian data", "leading order"


class Minima(NamedTuple):
    """The global minimum, a point up to a rotation of the outputs.

    Attributes:
        mask: (r,) which modes are nonzero; None where they do not decouple.
        squared_amplitudes: (r,) their w^2 along `Modes.basis`: with one covariance the variance of
            the embedding, W Sigma W^T; with two the squared weight; None where they do not
            decouple.
        gram: (d, d) W^T W, the same at every point of the minimum, flat dimensions excepted.
        weight: (dim, d) one point of it.
        loss: the value there, 0 at W = 0 (plus the loss's own constant).
        isolated: whether every local minimum is this one; False where that is not known (two
            covariances and fewer outputs than positive modes) and where dimensions are flat.
    """

    mask: np.ndarray | None
    squared_amplitudes: Array | None
    gram: Array
    weight: Array
    loss: Array
    isolated: bool


class Landscape(NamedTuple):
    """The landscape of a loss.

    Attributes:
        form: the matrices (B, covariances, quartic) of the loss.
        dim: number of outputs m.
        modes: modes that decouple, None where they do not (two covariances, not commuting).
        rank: dimensions that survive at the minimum.
        thresholds: weight decay and augmentation at which they are lost.
        minima: the global minimum.
        trust: accuracy of amplitudes, losses and curvatures: `exact`, `exact for Gaussian data` or
            `leading order` (small W).
        rank_trust: accuracy of the rank and the thresholds. Complete collapse, lambda_max(B) <=
            decay, is exact for any distribution (`check_bound` tests it on data).
        caveats: limits of the result, as sentences.
    """

    form: Form
    dim: int
    modes: Modes | None
    rank: int
    thresholds: Thresholds
    minima: Minima
    trust: str
    rank_trust: str
    caveats: tuple[str, ...] = ()

    def loss(self, weight: Array) -> Array:
        """Return the quartic loss of weights (..., dim, d)."""
        return energy(self.form, weight)

    def masks(self) -> Iterator[np.ndarray]:
        """Yield the masks of all stationary points, one at a time; there may be very many."""
        return stationary.masks(self._modes(), self.dim)

    def stationary_loss(self, mask: Any) -> Array:
        """Return the loss at a mask."""
        constant = self.form.offset * self.dim
        return stationary.stationary_loss(self._modes(), mask) + constant

    def hessian_spectrum(self, mask: Any) -> Array:
        """Return all eigenvalues of the Hessian at a mask, descending."""
        return stationary.hessian_spectrum(self._modes(), mask, self.dim)

    def saddle_index(self, mask: Any) -> int:
        """Return the number of descending directions at a mask."""
        return stationary.saddle_index(self._modes(), mask, self.dim)

    def trajectory(self, start_weight: Array, times: Array) -> Trajectory:
        """Return the gradient flow from a weight (dim, d); see `flow.trajectory`."""
        return flow.trajectory(self.form, start_weight, times)

    def _modes(self) -> Modes:
        if self.modes is None:
            message = (
                "the modes do not decouple: the covariances of anchor and negatives differ and do "
                "not commute; use `minimise_all(energy, ...)`"
            )
            raise InputError(message)
        return self.modes
