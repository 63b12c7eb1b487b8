"""`close.effective_modes` of many starts on the host, in NumPy: nothing to compile.

The equations are those of `close`. A start is a row of arrays here, and all starts take a Newton
step together: one call of LAPACK for each mode and step.
"""

from typing import Any

import numpy as np

from jssl.theory.stepwise.close import NEWTON, EffectiveModes


def effective_modes_of_starts(projections: np.ndarray, eigenvalues: np.ndarray) -> EffectiveModes:
    """Return the independent modes that the spectra of small starts follow.

    Example:
        >>> start = 1e-3 * np.array([[1.0, 1.0], [0.0, 1.0]])
        >>> found = effective_modes_of_starts(np.stack([start, 2 * start]), np.array([0.5, 0.5]))
        >>> (1e3 * found.start_scales).round(3).tolist()
        [[1.618, 0.618], [3.236, 1.236]]

    Args:
        projections: (starts, dim, m) starts along the modes, W(0) V^T each.
        eigenvalues: (m,) descending, of any sign.

    Returns:
        EffectiveModes of arrays (starts, k), k = min(dim, m).
    """
    k = min(projections.shape[1:])
    largest = np.abs(projections).max((1, 2))
    unit = np.where(largest > 0, largest, 1)
    scaled = projections / unit[:, None, None]
    rotation, corner = np.linalg.qr(scaled[:, :, :k])
    triangles = np.concatenate([corner, rotation.mT @ scaled[:, :, k:]], axis=2)
    rounding = max(projections.shape[1:]) * float(np.finfo(triangles.dtype).eps)
    floor = 16 * rounding
    triangles[np.abs(triangles) <= rounding * np.abs(scaled).max(1, keepdims=True)] = 0
    each = [_mode(j, triangles, eigenvalues, np.log(unit), floor) for j in range(k)]
    scales: Any
    growth: Any
    scales, growth = (np.stack(part, axis=1) for part in zip(*each, strict=True))
    scales = np.where(largest[:, None] > 0, scales, 0)
    return EffectiveModes(scales, growth)


def _mode(
    j: int, triangles: np.ndarray, eigenvalues: np.ndarray, logarithm: np.ndarray, floor: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (starts,) scales and growths of mode j; a triangle is in units of exp(logarithm)."""
    g, diagonal = eigenvalues[j], np.abs(triangles[:, j, j])
    if not g > 0:
        return diagonal * np.exp(logarithm), np.full(len(triangles), g)

    def rise(tau: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log sigma at tau, a quarter of its slope, and whether it ever starts."""
        values, right = _singular(triangles, eigenvalues, j, tau)
        growth = right**2 @ eigenvalues
        starts = (values[1] > floor * values[0]) & (growth > 0)
        size = np.log(np.where(starts, values[1], 1)) + logarithm + 4 * g * tau
        return size, np.where(starts, growth, g), starts

    least = np.maximum(diagonal, floor * np.linalg.norm(triangles[:, :, j], axis=1))
    least = np.maximum(least, np.finfo(least.dtype).tiny)
    tau = np.maximum(-(np.log(least * np.sqrt(g)) + logarithm) / (4 * g), 0)
    for _ in range(NEWTON + 1):
        size, growth, starts = rise(tau)
        tau = np.where(starts, np.maximum(tau - size / (4 * growth), 0), tau)
    size, growth, starts = rise(tau)
    scale = np.where(starts, np.exp(size - 4 * growth * tau) / np.sqrt(growth), 0)
    return scale, np.where(starts, growth, g)


def _singular(
    triangles: np.ndarray, eigenvalues: np.ndarray, j: int, tau: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Return the largest singular value and mode j's, and mode j's right singular vector.

    They are those of C^{1/2} of the rows that mode j has not been outgrown by, over e^{4 g_j tau}.
    Rows and columns that every start leaves out are cut off; those that only some leave out are 0.
    """
    eps = float(np.finfo(triangles.dtype).eps)
    outgrown = -np.log(eps) / 2
    gain = 4 * (eigenvalues - eigenvalues[j]) * tau[:, None]
    first = np.argmax(gain < outgrown, axis=1)
    cut = int(first.min())
    grown = np.sqrt(np.maximum(eigenvalues, 0)) * np.exp(np.minimum(gain, outgrown))
    kept = np.arange(cut, triangles.shape[2]) >= first[:, None]
    block = triangles[:, cut:, cut:] * np.where(kept, grown[:, cut:], 0)[:, None]
    block = np.where(kept[:, : block.shape[1], None], block, 0)
    _, values, right = np.linalg.svd(block, full_matrices=False)
    every, place = np.arange(len(tau)), j - first
    vector = np.zeros((len(tau), triangles.shape[2]))
    vector[:, cut:] = right[every, place]
    return (values[:, 0], values[every, place]), vector
