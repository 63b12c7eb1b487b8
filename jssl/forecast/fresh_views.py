r"""Views that are drawn anew in every step: the pairing of their distribution.

At a small learning rate, training follows the mean gradient over the views. To leading order the
modes are thus those of the expected cross-moment

    Gamma = (1/n) sum_i E[a_i] E[b_i]^T,   symmetrised,

where E[a_i] is the mean of the features over the views of sample i: two views of one sample are
independent. Fixed pairs are one draw of each sample; their eigenvalues contain products of the
noise of two views and are larger. Here the means are taken over `draws` views each,
so that the noise products shrink as 1/draws in place of draws^{-1/2} for as many pairs; their bias
is removed to first order by comparing with the means over half of the draws. Noise of the
gradient around its mean changes the steps by terms of order learning rate / samples (F-7).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jssl.data.pairs import make_pairs
from jssl.data.views import View, named
from jssl.errors import InputError, shown
from jssl.forecast.given_pairs import two_views
from jssl.forecast.modes import Modes, held_out, modes_of
from jssl.single_use import compile_cheaply
from jssl.theory.landscape.pairing import CROSS, Pairing
from jssl.types import Array, Pairs

MOST = 1000
"""Largest number of samples."""
DRAWS = (4, 32)
"""Smallest and largest number of views of each side of every sample."""

_PAIRS = 2000  # aimed at: samples x draws
_LEAST = 0.2  # smallest share that the correction leaves of an eigenvalue


class FreshViews(NamedTuple):
    """Samples, and the views that are drawn of them in every step.

    Attributes:
        samples: (n, ...).
        view: `view(key, x) -> x` of one sample.
        draws: number of views of each side of every sample in the forecast.
    """

    samples: np.ndarray
    view: View
    draws: int


def drawn_views(samples: Any, fresh: str | View, seed: int) -> tuple[Any, FreshViews]:
    """Return pooled pairs of views of every sample, draw by draw, and what they were drawn from.

    Example:
        >>> images = np.random.default_rng(0).random((60, 8, 8, 1))
        >>> pairs, fresh = drawn_views(images, "noise=0.1", 0)
        >>> pairs[0].shape, fresh.draws  # row r is a view of sample r % 60
        ((1920, 8, 8, 1), 32)

    Args:
        samples: (n, ...) of NumPy, JAX or PyTorch.
        fresh: names of views as `--views` takes them, or a function of a key and one sample.
        seed: of the views.

    Raises:
        InputError: for samples or views that cannot be used.
    """
    view = named(without_fresh(fresh)[0]) if isinstance(fresh, str) else fresh
    if not callable(view):
        message = f"fresh must name views such as 'crop,noise', or be a function; got {shown(view)}"
        raise InputError(message)
    if _are_pairs(samples):
        message = (
            "with fresh=, pass samples (n, ...) in the place of pairs, one array: both views are "
            "drawn from them; for pairs that training uses unchanged, leave fresh out"
        )
        raise InputError(message)
    try:
        x = two_views((samples, samples))[0]
    except (InputError, TypeError, ValueError) as error:
        message = f"with fresh=, pass samples (n, ...) in the place of pairs: {error}"
        raise InputError(message) from error
    if len(x) > MOST:
        message = f"at most {MOST:,} samples with fresh views, got {len(x):,}; take a random subset"
        raise InputError(message)
    draws = int(np.clip(_PAIRS // len(x), *DRAWS))
    key = jax.random.fold_in(jax.random.key(seed), 0)
    draw = compile_cheaply(lambda key, x: make_pairs(key, x, view))
    made = [_checked(draw, x, jax.random.fold_in(key, i)) for i in range(draws)]
    both = tuple(np.concatenate([pairs[side] for pairs in made]) for side in (0, 1))
    return two_views(both), FreshViews(x, view, draws)


def _checked(
    draw: Callable[..., Pairs], x: np.ndarray, key: Array
) -> tuple[np.ndarray, np.ndarray]:
    try:
        pairs = draw(key, x)
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        message = f"fresh(key, x) fails for one sample {x.shape[1:]}: {reason}"
        raise InputError(message) from error
    if pairs.first.shape != x.shape:
        message = f"fresh(key, x) must keep the shape {x.shape[1:]}; got {pairs.first.shape[1:]}"
        raise InputError(message)
    views = np.asarray(pairs.first, np.float64), np.asarray(pairs.second, np.float64)
    if not all(np.isfinite(v).all() for v in views):
        message = (
            f"fresh(key, x) returns values that are not finite for a sample {x.shape[1:]}; change "
            "the view, the samples are finite"
        )
        raise InputError(message)
    return views


def without_fresh(views: str) -> tuple[str, bool]:
    """Return the names of views without the word `fresh`, and whether it was among them.

    Example:
        >>> without_fresh("Fresh, crop,noise=0.1")
        ('crop,noise=0.1', True)

    Raises:
        InputError: for `fresh` alone.
    """
    parts = [part.strip() for part in views.split(",")]
    kept = [part for part in parts if part.lower() != "fresh"]
    if not kept:
        message = "fresh says that views are drawn anew in every step; name them: fresh,crop,noise"
        raise InputError(message)
    return ",".join(kept), len(kept) < len(parts)


def _are_pairs(samples: Any) -> bool:
    """Return whether samples are two arrays of them."""
    if not isinstance(samples, tuple | list) or len(samples) not in (2, 3):
        return False
    return all(x is None or getattr(x, "ndim", 0) > 1 for x in samples)


def averaged(gram: np.ndarray, draws: int, part: slice = slice(None)) -> np.ndarray:
    """Return the Gram matrix (2n, 2n) of the means over the draws of a part.

    Example:
        >>> averaged(np.arange(16.0).reshape(4, 4), 2).tolist()  # two draws of one sample
        [[2.5, 4.5], [10.5, 12.5]]

    Args:
        gram: (2 draws n, 2 draws n), each side's rows draw by draw.
        draws: number of draws.
        part: of the draws.
    """
    n = len(gram) // (2 * draws)
    parts = gram.reshape(2, draws, n, 2, draws, n)[:, part, :, :, part]
    mean: np.ndarray = parts.mean((1, 4)).reshape(2 * n, 2 * n)
    return mean


def expanded(vectors: np.ndarray, draws: int) -> np.ndarray:
    """Return coefficients (2 draws n, count) on all views of those (2n, count) on their means.

    Example:
        >>> expanded(np.array([[2.0], [4.0]]), 2).ravel().tolist()
        [1.0, 1.0, 2.0, 2.0]
    """
    n = len(vectors) // 2
    each = vectors.reshape(2, 1, n, -1) / draws
    return np.broadcast_to(each, (2, draws, n, each.shape[-1])).reshape(2 * draws * n, -1)


def fresh_modes(
    gram: np.ndarray,
    count: int,
    centred: bool,
    rng: np.random.Generator,
    pairing: Pairing,
    draws: int,
) -> Modes:
    """Return up to `count` modes of the distribution of views.

    Held-out eigenvalues are those of other samples.

    Args:
        gram: (2 draws n, 2 draws n) of all views.
        count: number of modes.
        centred: whether each view's mean is subtracted.
        rng: of the split of the samples into halves.
        pairing: of the signal; it must couple the two views only.
        draws: number of draws, >= 2.

    Raises:
        InputError: where no eigenvalue is positive, or for another pairing.
    """
    if not np.allclose(pairing[::2], 0, atol=1e-6 * abs(pairing.cross)):
        message = "fresh views need a loss that couples near zero only the two views of a sample"
        raise InputError(message)
    scaled = CROSS._replace(cross=pairing.cross)
    whole = averaged(gram, draws)
    values, vectors = modes_of(whole, count, centred, scaled)
    half = draws // 2
    parts = [averaged(gram, draws, slice(at, at + half)) for at in (0, draws - half)]
    halves = [modes_of(part, count, centred, scaled)[0] for part in parts]
    kept = min(len(values), *(len(x) for x in halves))
    if kept:
        of_half = np.mean([x[:kept] for x in halves], 0)
        bias = (of_half - values[:kept]) * half / (draws - half)  # the bias falls as 1 / draws
        values = np.minimum.accumulate(np.maximum(values[:kept] - bias, _LEAST * values[:kept]))
    if not len(values) or not kept:
        message = "no eigenvalue is positive: the two views share nothing under this kernel"
        raise InputError(message)
    held, errors = held_out(whole, kept, centred, rng, scaled)
    return Modes(values, expanded(vectors[:, :kept], draws), held, errors)
