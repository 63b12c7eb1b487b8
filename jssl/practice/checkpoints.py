"""The same over training: spectra at checkpoints, the steps in them, and how near the end is."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jssl.diagnostics import (
    KINDS,
    Moments,
    Steps,
    cross_scatter,
    detect_steps,
    entropy_rank,
)
from jssl.errors import InputError
from jssl.practice.arrays import check_embeddings, read_array, to_numpy
from jssl.practice.spectra import spectrum_of, verdict_of


class Course(NamedTuple):
    """What happened over checkpoints.

    Attributes:
        names: of the checkpoints that could be read.
        t: (checkpoints,) step numbers from their names, or 0, 1, 2 ...
        spectra: (checkpoints, dim) eigenvalues of the covariance, descending.
        ranks: (checkpoints,) effective ranks.
        kinds: which collapse each has.
        similarity: (checkpoints,) linear CKA with the last; NaN for other numbers of rows, or
            fewer rows than columns.
        steps: what the detector finds in the spectra; None for fewer than three checkpoints.
        failures: one line for each that could not be read.
        words: the reading.
        remarks: what to know about it.
    """

    names: tuple[str, ...]
    t: np.ndarray
    spectra: np.ndarray
    ranks: np.ndarray
    kinds: tuple[str, ...]
    similarity: np.ndarray
    steps: Steps | None
    failures: tuple[str, ...]
    words: list[str]
    remarks: list[str]


def follow(over: Sequence[Any] | Mapping[str, Any], dim: int, tolerance: float) -> Course:
    """Return the course of training from embeddings at checkpoints; inside `float64()`.

    Args:
        over: arrays, or name -> array or path. A path that cannot be used becomes a failure and the
            rest is still read; an array that cannot is refused.
        dim: of the embeddings of which these are checkpoints.
        tolerance: as in `diagnose`.

    Raises:
        InputError: for an array that cannot be used, or where nothing could be read.
    """
    items = over.items() if isinstance(over, Mapping) else enumerate(over)
    named = {str(name): z for name, z in items}
    read, failures = {}, []
    for name, value in named.items():
        on_disk = hasattr(value, "__fspath__")
        try:
            z = read_array(value) if on_disk else to_numpy(f"checkpoint {name}", value)
            check_embeddings(f"checkpoint {name}", z)
            if z.shape[1] != dim:
                message = f"checkpoint {name} has {z.shape[1]} dimensions, the embeddings {dim}"
                raise InputError(message)
        except InputError as error:
            if not on_disk:
                raise
            failures.append(str(error))
            continue
        read[name] = z
    if not read:
        message = f"no checkpoint could be read; {failures[0] if failures else 'give some'}"
        raise InputError(message)
    seen = {name: spectrum_of(z) for name, z in read.items()}
    spectra = np.stack([np.resize(s.eigenvalues, dim) for s in seen.values()])
    for row, z in zip(spectra, read.values(), strict=True):
        row[len(z) :] = 0
    ranks = np.asarray(entropy_rank(jnp.sqrt(jnp.asarray(spectra))))
    kinds = tuple(
        KINDS[int(verdict_of(s, len(read[name]), tolerance).kind)] for name, s in seen.items()
    )
    last = next(reversed(read))
    similarity = np.array(
        [_cka(read[name], seen[name].moments, read[last], seen[last].moments) for name in read]
    )
    t = step_numbers(tuple(read))
    steps = detect_steps(jnp.asarray(t), jnp.asarray(spectra)) if len(t) >= 3 else None
    words = _words(t, ranks, kinds, steps)
    remarks = [f"left out: {failure}" for failure in failures]
    if steps is None:
        remarks.append("steps need three checkpoints or more")
    return Course(
        tuple(read), t, spectra, ranks, kinds, similarity, steps, tuple(failures), words, remarks
    )


def step_numbers(names: Sequence[str]) -> np.ndarray:
    """Return the last number in each name where these ascend, else 0, 1, 2 ...

    Example:
        >>> step_numbers(["z-000", "z-100.npy", "z-1000.npy"]).tolist()
        [0.0, 100.0, 1000.0]
        >>> step_numbers(["first", "second"]).tolist()
        [0.0, 1.0]
    """
    found = [re.findall(r"\d+", name) for name in names]
    if all(found):
        numbers = np.array([float(each[-1]) for each in found])
        if (np.diff(numbers) > 0).all():
            return numbers
    return np.arange(len(names), dtype=float)


def by_number(names: Sequence[str]) -> list[str]:
    """Return names in the order of the numbers in them, so that 10 follows 9.

    Example:
        >>> by_number(["z10.npy", "z9.npy"])
        ['z9.npy', 'z10.npy']
    """

    def key(name: str) -> list[Any]:
        return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]

    return sorted(names, key=key)


def _cka(a: np.ndarray, seen_a: Moments | None, b: np.ndarray, seen_b: Moments | None) -> float:
    if seen_a is None or seen_b is None:
        return float("nan")
    size = np.linalg.norm(seen_a.scatter) * np.linalg.norm(seen_b.scatter)
    if len(a) != len(b) or size == 0:
        return float("nan")
    return float(np.sum(cross_scatter(a, b, seen_a.mean, seen_b.mean) ** 2) / size)


def _words(
    t: np.ndarray,
    ranks: np.ndarray,
    kinds: tuple[str, ...],
    steps: Steps | None,
) -> list[str]:
    words = [
        f"Over {len(t)} checkpoints the effective rank goes from {ranks[0]:.4g} to {ranks[-1]:.4g}"
        f" (at most {ranks.max():.4g})."
    ]
    if steps is not None:
        times = np.asarray(steps.half_times)
        found = times[np.isfinite(times)]
        told = ", ".join(f"{x:.3g}" for x in found[:8])
        told += f", ... ({len(found)} in all)" if len(found) > 8 else ""
        count = int(steps.distinct)
        apart = "1 separate step" if count == 1 else f"{count} separate steps"
        words.append(
            f"{int(steps.learned)} dimensions were learned (above a tenth of the largest at the "
            f"end), in {apart}; half there at {told or 'no time'}."
        )
    fallen = [i for i in range(1, len(kinds)) if KINDS.index(kinds[i]) > KINDS.index(kinds[i - 1])]
    if fallen:
        words.append(f"Collapse sets in ({kinds[fallen[0]]}) at checkpoint {t[fallen[0]]:g}.")
    return words
