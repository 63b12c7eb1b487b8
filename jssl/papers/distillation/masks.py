"""The exact moments of masked images against masks that are drawn."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.data import images
from jssl.data.masks import masked_moments, masked_pairs
from jssl.data.moments import Moments
from jssl.papers.claims import close
from jssl.papers.outcome import Part, Settings
from jssl.types import Claim, Rival

DRAWS, PATCH = 20, 2


def moments(settings: Settings) -> Part:
    """Test the covariance of the two parts of an image, and the moment of the visible part."""
    x = images.digits().x.astype(float)
    x -= x.mean(0)
    exact = masked_moments(x, patch=PATCH)
    sampler = masked_pairs(jnp.asarray(x), patch=PATCH)

    @jax.jit
    def sampled(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        first, second = (part.reshape(len(x), -1) for part in sampler(key)[:2])
        return first.T @ first / len(x), second.T @ first / len(x)

    seen = [sampled(key) for key in settings.keys(DRAWS, 63)]
    context, cross = (np.array([np.asarray(pair[k]) for pair in seen]) for k in range(2))
    return Part([_claim("cross", exact, cross), _claim("context", exact, context)], [])


def _claim(name: str, exact: Moments, seen: np.ndarray) -> Claim:
    """Compare the sum over pairs of patches, weighted with the pixels, with the exact moment."""
    count = seen.shape[1] // PATCH**2
    matrix = np.asarray(getattr(exact, name))
    away = np.asarray(exact.cross) != 0  # pixels of two patches
    norm = (matrix * away * matrix).sum()
    shares = (seen * (matrix * away)).sum((1, 2)) / norm
    error = float(shares.std(ddof=1) / np.sqrt(len(shares)))
    what = {
        "cross": "the covariance of the visible and the hidden part",
        "context": "the second moment of the visible part",
    }[name]
    independent = (count - 1) / count if name == "cross" else independent_share(count)
    return close(
        f"distillation/mask-{name}",
        f"On masked digits, {what} between two patches is that of patches drawn without "
        "replacement.",
        "Derived here; after Littwin et al. 2024",
        1.0,
        float(shares.mean()),
        3.9 * error,
        details="The measured value is the projection of the moment of drawn masks on the exact "
        f"one, relative to its square, over pixels of two patches; the mean of {DRAWS} masks of "
        "every image. The tolerance is 3.9 standard errors.",
        rivals=(Rival("patches are independent", independent),),
        standard_error=error,
    )


def independent_share(count: int) -> float:
    """Return (k/P)^2 over k (k-1) / (P (P-1)) for half of P patches.

    Example:
        >>> print(round(independent_share(16), 4))
        1.0714
    """
    kept = count // 2
    return (kept / count) ** 2 / (kept * (kept - 1) / (count * (count - 1)))
