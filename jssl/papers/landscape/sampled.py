"""InfoNCE with sampled negatives has the minima of the exact loss, for every placement."""

import jax
import jax.numpy as jnp
import numpy as np

from jssl.papers.claims import at_most
from jssl.papers.landscape.common import AUGMENTED, Z, amplitudes, sampled_loss, source
from jssl.papers.outcome import Part, Settings
from jssl.single_use import compile_for_many_steps
from jssl.theory import landscape
from jssl.theory.landscape.dictionary import PLACEMENTS
from jssl.types import Array, Claim, Rival

DATA, NOISE = np.array([1.0, 0.5]), np.array([0.6, 0.3])


def sampled(settings: Settings) -> Part:
    """Test squared weights at minima of InfoNCE with sampled negatives, for every placement."""
    size, runs = {"quick": (256, 16), "paper": (1024, 48), "large": (2048, 100)}[settings.scale]
    key = jax.random.fold_in(jax.random.key(settings.seed), 4)

    def one(key: Array, bits: Array) -> Array:
        draws = jax.random.normal(key, (5, size, 2))
        clean, other = draws[0] * np.sqrt(DATA), draws[1] * np.sqrt(DATA)
        own, second, third = draws[2:] * np.sqrt(NOISE)
        anchor, positive = clean + bits[0] * own, clean + bits[1] * second
        negatives = other + bits[3] * third
        paired = clean + bits[2] * own
        start = jnp.array([[0.5, 0.1], [-0.1, 0.5]])
        end = landscape.minimise(
            sampled_loss, start, anchor, positive, paired, negatives, tolerance=1e-6
        )
        return jnp.diagonal(end.point.T @ end.point)

    solve = compile_for_many_steps(
        lambda keys, bits: jax.lax.map(lambda k: one(k, bits), keys, batch_size=4)
    )
    claims = []
    for index, (name, bits) in enumerate(PLACEMENTS.items()):
        keys = jax.random.split(jax.random.fold_in(key, index), runs)
        claims.append(_claim(name, np.asarray(solve(keys, np.asarray(bits, float))), size))
    return Part(claims, [])


def _claim(name: str, squares: np.ndarray, size: int) -> Claim:
    """Return the claim on the squared weights (runs, 2) of a placement."""
    runs = len(squares)
    exact = amplitudes(landscape.views(DATA, NOISE, name))
    others = {
        other: amplitudes(landscape.views(DATA, NOISE, other))
        for other in PLACEMENTS
        if PLACEMENTS[other][0] != PLACEMENTS[name][0]
    }
    error = squares.std(0, ddof=1) / np.sqrt(runs)
    # Besides its scatter, a finite sample shifts the minimum by a few 1/n.
    allowed = Z * error / exact + 10 / size
    difference = np.abs(squares.mean(0) / exact - 1)
    rivals = [
        Rival(
            f"the exact loss if {AUGMENTED[other]}",
            float((np.abs(squares.mean(0) - values) / exact / allowed).max()),
        )
        for other, values in others.items()
    ]
    return at_most(
        f"landscape/sampled-{name}",
        f"If {AUGMENTED[name]}, the minimum of InfoNCE with sampled negatives has the predicted "
        "mean squared weights.",
        source("L-3", "L-5"),
        1.0,
        float((difference / allowed).max()),
        details=f"The mean is over {runs} samples of {size} anchors and {size} negatives. The "
        "measured value is the largest relative error divided by its tolerance, which is "
        f"{Z} standard errors plus 10 / {size} for the bias of a finite sample. Rivals are the "
        "placements that differ in the anchor of the positive pair; the others have nearly the "
        "same minimum.",
        rivals=rivals,
    )
