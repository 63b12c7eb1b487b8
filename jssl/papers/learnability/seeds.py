"""Data and initial weights of each seed of the learnability experiment.

    x = s e1 + q tau e2 + rho xi        W ~ N(0, 1), near a minimum or with the signs of the paper

References:
    Yang, Li, Jiang, Li, arXiv 2401.03214, whose sizes are the defaults.
"""

from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jssl.data.checks import require_count, require_range
from jssl.errors import InputError
from jssl.types import Array


class Design(NamedTuple):
    """Static choices of a run; a change compiles a new program.

    Attributes:
        samples: n, at least 4, the number of cells.
        dim: d, at least 2.
        rows: m, the width.
        start: `near` the minimum, `sign` (N(0, 1) with the signs of the paper) or `random`
            (N(0, 1)).
        data: `drawn` cells, `balanced` (n / 4 samples in each) or `centres` (balanced, no noise).
        step: `reduced` (view noise drawn at every step, see `reduced_gradient`), `mean` (the loss
            averaged over view noise) or `linear` (a linear model with a quartic penalty).
        activation: a name in `jssl.models.activations`.
        correlation: of the noises of the two views; used by `reduced` only.
    """

    samples: int = 100
    dim: int = 10
    rows: int = 2
    start: Literal["near", "sign", "random"] = "sign"
    data: Literal["drawn", "balanced", "centres"] = "drawn"
    step: Literal["reduced", "mean", "linear"] = "reduced"
    activation: str = "sigmoid"
    correlation: float = 0.0


class Numbers(NamedTuple):
    """Numbers that may differ between seeds: scalars, or one value for each seed.

    Attributes:
        tau: strength of the hidden feature.
        decay: weight decay, of W and of the supervised head.
        noise: rho of the samples.
        view_noise: rho of the views, drawn at every step.
        rate: learning rate on the mean loss; 1e-3 in the paper is on the sum over 100 samples.
    """

    tau: Any = 7.0
    decay: Any = 1 / 800
    noise: Any = 10**-1.5
    view_noise: Any = 10**-1.5
    rate: Any = 0.1


class Seeds(NamedTuple):
    """Samples and initial weights: NumPy arrays for all seeds, or arrays of one seed when traced.

    Attributes:
        x: (seeds, n, d) samples.
        label: (seeds, n) of -1 and 1.
        weight: (seeds, m, d) W at step 0.
        head: (seeds, m) supervised head at step 0.
    """

    x: Any
    label: Any
    weight: Any
    head: Any


def draw(keys: Array, design: Design, numbers: Numbers) -> Seeds:
    """Return samples and initial weights for each key; drawn samples follow `four_cells`.

    Example:
        >>> import jax
        >>> seeds = draw(jax.random.split(jax.random.key(0), 3), Design(), Numbers())
        >>> seeds.x.shape, seeds.weight.shape
        ((3, 100, 10), (3, 2, 10))

    NumPy draws them in float64 from the bits of each key. To compile a program of random draws
    takes longer than a thousand seeds take here.
    """
    shape = (len(keys),)
    tau, noise = np.broadcast_to(numbers.tau, shape), np.broadcast_to(numbers.noise, shape)
    bits = np.asarray(jax.random.key_data(keys))
    one = [_draw_one(*each, design) for each in zip(bits, tau, noise, strict=True)]
    return Seeds(*map(np.stack, zip(*one, strict=True)))


def _draw_one(bits: np.ndarray, tau: float, noise: float, design: Design) -> Seeds:
    samples, dim, rows = design.samples, design.dim, design.rows
    data, start = (np.random.default_rng([*bits, purpose]) for purpose in (0, 1))
    cell = data.integers(0, 4, samples) if design.data == "drawn" else np.arange(samples) % 4
    label, hidden = 1 - 2 * (cell % 2), cell // 2
    x = (0 if design.data == "centres" else noise) * data.standard_normal((samples, dim))
    x[:, 0] += label
    x[:, 1] += tau * hidden
    weight, head = start.standard_normal((rows, dim)), start.standard_normal(rows)
    if design.start != "random":
        u, v = np.abs(weight[:, :2]).T
        if design.start == "near":
            u, v = start.uniform(3.1, 3.9, rows), start.uniform(8.5, 9.0, rows) / tau
        weight[:, 0], weight[:, 1] = u * (-1) ** np.arange(rows), v
    return Seeds(x, label, weight, head)


def check(design: Design, numbers: Numbers, points: Any) -> None:
    """Raise InputError unless the sizes, ranges and recorded steps are valid."""
    samples = require_count("samples (there are 4 cells)", design.samples, low=4)
    dim = require_count("dim", design.dim, low=2)
    require_count("rows", design.rows, high=dim if design.step == "reduced" else np.inf)
    if design.data != "drawn" and samples % 4:
        message = f"balanced data need samples divisible by 4; got {samples}"
        raise InputError(message)
    require_range("correlation", design.correlation, -1, 1)
    for name in ("noise", "view_noise", "decay"):
        require_range(name, getattr(numbers, name), 0)
    if len(points) < 1 or points[0] < 0 or (np.diff(points) < 0).any():
        message = f"points must be ascending steps, 0 or more; got {points}"
        raise InputError(message)
