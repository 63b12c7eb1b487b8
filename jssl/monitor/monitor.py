"""`jssl.Monitor`: metrics of the embeddings of a training run, batch by batch."""

import math
from collections import deque
from typing import Any

from jssl.data.checks import require_count, require_name, require_range
from jssl.errors import CollapseError, InputError
from jssl.formulas.severity import SEVERITIES, is_severe
from jssl.monitor.libraries import added, checked, joined, kept_rows, library_of, on_host
from jssl.monitor.measures import measure
from jssl.monitor.sums import Sums

MOST_COLUMNS = 4096
"""The largest dimension: two float64 matrices of 128 MiB, and a minute for their eigenvalues."""

SAMPLE = 512
"""Rows of the last batch from which the uniformity is computed."""

_PARTS = 8
_LEAST_HALF_LIFE = 1024


class Monitor:
    """Metrics of embeddings during training, from batches of NumPy, JAX or PyTorch.

    Example:
        >>> import numpy as np
        >>> monitor = Monitor()
        >>> rng = np.random.default_rng(0)
        >>> for step in range(100):
        ...     monitor.update(rng.normal(size=(64, 8)) * np.array([3, 1, 1, 1, 1, 1, 1, 0]))
        >>> metrics = monitor.metrics()  # log this: a flat dictionary of numbers
        >>> print(round(metrics["effective_rank"], 1), metrics["rank"], metrics["collapse"])
        6.2 7.0 0.0

    `update` adds a batch to means and second moments, exactly and in float64, with the library and
    on the device of the arrays. It does not wait for the device. `metrics` moves two (dim, dim)
    matrices and up to 512 rows to the host and takes some 0.1 s for 512 dimensions: call it every
    100 steps or so. One monitor follows one layer; the memory is about 3 dim^2 numbers.

    Metrics, each one number:

        rows                 effective number of rows: (sum of the weights)^2 / sum of their squares
        rows_not_finite      rows left out so far: a value was NaN or infinite, or the largest of
                             the row was above 1e60 or below 1e-60 (rows of zeros are kept), whose
                             powers leave float64
        effective_rank, rankme, participation_ratio, alpha     as `jssl.diagnose` defines them
        leading_share        share of the variance in the leading direction
        rank                 dimensions with more than 1e-6 of the largest variance; 0 where the
                             variance is at most 1e-6 of the mean square
        spread               variance as a share of the mean square
        drift                share of the variance that is between batches; high where the encoder
                             changes faster than rows are forgotten
        uniformity           of up to 512 rows of the last batch, with themselves
        alignment            mean squared distance of views; only where views are given
        views_not_finite     rows so far whose second view alone is left out, for the same reasons
                             as a row; they count in all but the alignment; only with views
        collapse             0 none, 1 dimensional, 2 complete, 3 undefined: fewer than 8 rows

    Ranks need two rows, as in `jssl.diagnose`, and are NaN before. A verdict needs 8, because it
    may stop a run: of fewer, those of a healthy encoder are often close to each other by chance.

    An encoder changes while it is trained, so old rows are forgotten. A row that is `half_life`
    rows old counts half. `math.inf` gives all rows the same weight, for an encoder that does not
    change: ranks are then those of `jssl.diagnose` on all rows. `window` gives the last rows equal
    weights and forgets all earlier ones; it moves in eighths, with 9 times the memory.

    Batches should be random samples: of batches sorted by class, the variance within a batch is
    that within a class. In training on several devices, each process monitors its own rows.

    Args:
        half_life: rows after which a row counts half; by default 4 dim, at least 1,024.
        window: number of rows instead, at least 8; the last ones have equal weights.
        raise_on: "collapse" to raise an error on a complete collapse, "dimensional" on that and on
            a dimensional one; None to raise none. In training, a variance of at most 0.5 % of the
            mean square is a complete collapse. `jssl.diagnose` says both that and what is around
            the point, since an untrained network with biases may have less.
        patience: raise only if this many calls of `metrics` in a row have shown it, so that neither
            the start of training nor a single batch stops a run.
        name: of the monitored layer; with a name, keys are "name/effective_rank" and so on.

    Raises:
        InputError: for values out of range, or both a half life and a window.
    """

    def __init__(
        self,
        *,
        half_life: float | None = None,
        window: int | None = None,
        raise_on: str | None = None,
        patience: int = 3,
        name: str = "",
    ) -> None:
        if half_life is not None:
            require_range("half_life", half_life, 1)
        if window is not None:
            require_count("window", window, low=_PARTS)
        if half_life is not None and window is not None:
            message = "half_life and window exclude each other; pass one of them"
            raise InputError(message)
        if raise_on is not None:
            require_name("value of raise_on", raise_on, SEVERITIES)
        self.half_life = half_life
        self.window = window
        self.raise_on = raise_on
        self.patience = require_count("patience", patience)
        self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._library, self._dim, self._sample = "", 0, None
        self._parts: deque[tuple[int, Sums]] = deque()
        self._shown = 0

    def update(self, embeddings: Any, views: Any = None) -> None:
        """Add a batch.

        Args:
            embeddings: (n, dim) of NumPy, JAX or PyTorch, one library, on any device. Gradients
                are not followed. Rows that are not finite, or whose squares leave float64, are left
                out and counted.
            views: (n, dim) embeddings of second views of the same rows, for the alignment.

        Raises:
            InputError: for other shapes, complex numbers, tensors without values (meta, sparse),
                another dimension or library than before, more than 4,096 dimensions, or a call
                inside `jax.jit`.
        """
        library = library_of(embeddings)
        z = checked("embeddings", embeddings, library)
        self._require_same(library, int(z.shape[1]))
        second = None
        if views is not None:
            if library_of(views) != library:
                message = (
                    f"views and embeddings must be arrays of one library; got {library} and "
                    f"{library_of(views)}: convert one of them"
                )
                raise InputError(message)
            second = checked("views", views, library)
            if tuple(second.shape) != tuple(z.shape):
                message = f"views must be {tuple(z.shape)} like the embeddings, row by row; got "
                raise InputError(message + str(tuple(second.shape)))
        self._library, self._dim = library, int(z.shape[1])
        self._sample = kept_rows(z, SAMPLE, library)
        self._add(z, second, len(z))

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the rows that are not yet forgotten.

        Raises:
            InputError: before the first batch.
            CollapseError: if `raise_on` says so; its `metrics` are those that would be returned.
        """
        if not self._parts:
            message = "there are no metrics before the first batch; call update first"
            raise InputError(message)
        sums = joined([part for _, part in self._parts], self._library)
        seen = measure(sums, on_host(self._sample, self._library))
        start = f"{self.name}/" if self.name else ""
        metrics = {f"{start}{key}": value for key, value in seen.metrics.items()}
        collapsed = is_severe(seen.kind, self.raise_on)
        self._shown = self._shown + 1 if collapsed else 0
        if collapsed and self._shown >= self.patience:
            many = f"{self.patience} calls of metrics in a row show"
            calls = "this call of metrics shows" if self.patience == 1 else many
            layer = f" of {self.name}" if self.name else ""
            message = f"the embeddings{layer} have collapsed, as {calls}: "
            raise CollapseError(message + seen.sentence, metrics)
        return metrics

    def _require_same(self, library: str, dim: int) -> None:
        if dim > MOST_COLUMNS:
            message = (
                f"a monitor takes at most {MOST_COLUMNS:,} dimensions; got {dim:,}: pass the "
                "representation before the projector, or a fixed random projection"
            )
            raise InputError(message)
        if self._parts and (library, dim) != (self._library, self._dim):
            message = (
                f"this monitor was fed {self._library} arrays with dim {self._dim:,}; got "
                f"{library} and {dim:,}: use one monitor for each layer, or call reset"
            )
            raise InputError(message)

    def _add(self, z: Any, views: Any, rows: int) -> None:
        """Add a batch to the only part, whose rows fade, or to the last part of a window."""
        if self.window is None:
            half_life = self.half_life or max(_LEAST_HALF_LIFE, 4 * self._dim)
            factor = 1.0 if math.isinf(half_life) else 0.5 ** (rows / half_life)
            before = self._parts.pop()[1] if self._parts else None
            self._parts.append((rows, added(before, z, views, factor, self._library)))
            return
        held, last = 0, None
        if self._parts and self._parts[-1][0] < self.window / _PARTS:
            held, last = self._parts.pop()
        self._parts.append((held + rows, added(last, z, views, 1.0, self._library)))
        while sum(held for held, _ in self._parts) - self._parts[0][0] >= self.window:
            self._parts.popleft()
