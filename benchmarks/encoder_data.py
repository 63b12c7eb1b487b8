"""Data with labels and random views, on which the encoders of `benchmarks/encoders.py` are trained.

digits     1,797 images of ten digits. A view is shifted by at most one pixel, scaled in
           brightness by 0.6 to 1.4, and has noise of standard deviation 0.2
erased     the same images. A view is shifted by at most one pixel, a square of 3x3 pixels is
           erased, and it has noise of standard deviation 0.3
gaussian   1,800 vectors of 20 Gaussian classes in 64 dimensions. A view has another draw of the
           variation within a class, in 40 directions, and noise of standard deviation 0.3
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import images


class Data(NamedTuple):
    """Samples with labels and views.

    Attributes:
        clean: (n, 8, 8, 1) samples.
        labels: (n,) integers from 0.
        view: (key, numbers of samples) -> (len(numbers), 8, 8, 1), a random view of each.
    """

    clean: np.ndarray
    labels: np.ndarray
    view: Callable[[Any, Any], Any]

    @property
    def chance(self) -> float:
        """Accuracy of a guess."""
        return 1 / (int(self.labels.max()) + 1)


def data_named(name: str) -> Data:
    """Return the data of a name."""
    return {"digits": _digits, "erased": _erased, "gaussian": _gaussian}[name]()


def _images() -> tuple[np.ndarray, np.ndarray]:
    data = images.digits()
    return np.asarray(data.x / data.x.max(), np.float32), np.asarray(data.labels)


def _digits() -> Data:
    x, labels = _images()
    shifted = _shifted(x)

    def view(key: Any, at: Any) -> Any:
        where, gain, noise = jax.random.split(key, 3)
        seen = jnp.asarray(shifted)[jax.random.randint(where, at.shape, 0, len(shifted)), at]
        seen = seen * (1 + 0.4 * jax.random.uniform(gain, (len(at), 1, 1, 1), minval=-1.0))
        return seen + 0.2 * jax.random.normal(noise, seen.shape)

    return Data(x, labels, view)


def _erased() -> Data:
    x, labels = _images()
    shifted = _shifted(x)
    masks = np.ones((36, 8, 8, 1), np.float32)
    for number in range(36):
        i, j = divmod(number, 6)
        masks[number, i : i + 3, j : j + 3] = 0

    def view(key: Any, at: Any) -> Any:
        where, square, noise = jax.random.split(key, 3)
        seen = jnp.asarray(shifted)[jax.random.randint(where, at.shape, 0, len(shifted)), at]
        seen = seen * jnp.asarray(masks)[jax.random.randint(square, at.shape, 0, len(masks))]
        return seen + 0.3 * jax.random.normal(noise, seen.shape)

    return Data(x, labels, view)


def _gaussian() -> Data:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 20, 1800)
    centres = 0.5 * draws.normal(size=(20, 64))
    spread = 1.2 * np.linalg.qr(draws.normal(size=(64, 64)))[0][:40]
    clean = centres[labels] + draws.normal(size=(1800, 40)) @ spread
    x, means, within = (
        np.float32(each).reshape(-1, 8, 8, 1) for each in (clean, centres[labels], spread)
    )

    def view(key: Any, at: Any) -> Any:
        """Half of the variance within the class is that of the sample, half is drawn anew."""
        fresh, noise = jax.random.split(key)
        code = jax.random.normal(fresh, (len(at), 40))
        moved = jnp.tensordot(code, jnp.asarray(within), 1)
        kept = jnp.asarray(means)[at]
        seen = kept + 0.5**0.5 * (jnp.asarray(x)[at] - kept + moved)
        return seen + 0.3 * jax.random.normal(noise, seen.shape)

    return Data(x, labels, view)


def _shifted(x: np.ndarray) -> np.ndarray:
    """Return the images under the nine shifts by at most one pixel, the unshifted ones fifth."""
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack([wide[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)])
