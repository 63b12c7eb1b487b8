"""Spectra of embeddings at checkpoints: learned steps, and the similarity with the last one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import check_embeddings, read_array, stored_as_void, to_numpy
from jssl.diagnosis.history import Relation, history_summary
from jssl.diagnosis.homogeneity import same_distribution
from jssl.diagnosis.matching import debiased_cka, prepare, rows_correspond
from jssl.diagnosis.spectra import spectrum_of, verdict_of
from jssl.errors import InputError
from jssl.formulas.ranks import entropy_rank
from jssl.formulas.steps import LEARNED_SHARE, PLATEAU, Steps, detect_steps
from jssl.formulas.verdict import KINDS

_DIFFERENT = 0.01
"""p-value below which sets of rows that do not correspond have different distributions."""

_SAME = 1e-9
"""Spectra of the same rows that differ by no more than this share of the largest are equal."""


class CheckpointHistory(NamedTuple):
    """Spectra, ranks and similarities of embeddings at checkpoints.

    Attributes:
        names: of the checkpoints that could be read.
        t: (checkpoints,) step numbers from their names, or 0, 1, 2 ...
        spectra: (checkpoints, dim) eigenvalues of the covariance, descending.
        ranks: (checkpoints,) effective ranks.
        kinds: kind of collapse of each, one of `jssl.diagnostics.KINDS`.
        similarity: (checkpoints,) debiased linear CKA with the last, in [-1, 1]; 0 on average for
            unrelated embeddings. NaN for other numbers of rows, fewer than four, and a constant.
        same_rows: whether the checkpoints hold the same samples in the same order, as far as the
            CKA of neighbouring ones shows; None where CKA is undefined.
        changed: whether the distribution of the embeddings changes between them.
        steps: the learned steps that `detect_steps` finds in the spectra; None for fewer than three
            checkpoints, or where nothing changed.
        failures: one line for each checkpoint that could not be read.
        summary: the results as sentences.
        caveats: limits of the results.
    """

    names: tuple[str, ...]
    t: np.ndarray
    spectra: np.ndarray
    ranks: np.ndarray
    kinds: tuple[str, ...]
    similarity: np.ndarray
    same_rows: bool | None
    changed: bool
    steps: Steps | None
    failures: tuple[str, ...]
    summary: list[str]
    caveats: list[str]


def follow(
    checkpoints: Sequence[Any] | Mapping[str, Any],
    dim: int,
    tolerance: float,
    draws: np.random.Generator,
) -> CheckpointHistory:
    """Return the history of embeddings over checkpoints.

    Args:
        checkpoints: arrays, or name -> array or path. A path that cannot be used is listed in
            `failures` and the others are still read; an array that cannot be used raises.
        dim: of the embeddings of which these are checkpoints.
        tolerance: as in `diagnose`.
        draws: generator for the sample on which sets of rows that do not correspond are compared.

    Raises:
        InputError: for an array that cannot be used, or where nothing could be read.
    """
    read, failures, caveats = _read(checkpoints, dim)
    by_name = {name: spectrum_of(z) for name, z in read.items()}
    spectra = np.stack([np.resize(s.eigenvalues, dim) for s in by_name.values()])
    for row, z in zip(spectra, read.values(), strict=True):
        row[len(z) :] = 0
    ranks = entropy_rank(np.sqrt(spectra), False, np)
    kinds = tuple(
        KINDS[int(verdict_of(s, len(read[name]), tolerance).kind)] for name, s in by_name.items()
    )
    similarity, neighbouring = _similarities(list(read.values()))
    same_rows, changed = _relation(list(read.values()), spectra, neighbouring, draws)
    t = step_numbers(tuple(read))
    steps = None
    if changed and len(t) >= 3:
        steps = detect_steps(t, spectra, spectra[-1], LEARNED_SHARE, PLATEAU, np)
    counts = [len(z) for z in read.values()]
    summary = history_summary(t, ranks, kinds, steps, Relation(same_rows, changed, counts))
    if len(t) < 3:
        caveats.append("Detecting steps needs three checkpoints or more.")
    caveats += [f"A checkpoint was left out: {failure}" for failure in failures]
    return CheckpointHistory(
        tuple(read),
        t,
        spectra,
        ranks,
        kinds,
        similarity,
        same_rows,
        changed,
        steps,
        tuple(failures),
        summary,
        caveats,
    )


def _read(
    checkpoints: Sequence[Any] | Mapping[str, Any], dim: int
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Return the checkpoints that can be used, a line for each that cannot, and caveats."""
    items = checkpoints.items() if isinstance(checkpoints, Mapping) else enumerate(checkpoints)
    read, failures, void = {}, [], []
    for name, value in ((str(name), value) for name, value in items):
        on_disk = hasattr(value, "__fspath__")
        what = f"checkpoint {name}"
        try:
            given = read_array(value) if on_disk else value
            z = check_embeddings(what, to_numpy(what, given, lazy=True))
            if z.shape[1] != dim:
                message = f"{what} has {z.shape[1]} dimensions, the embeddings {dim}"
                raise InputError(message)
        except InputError as error:
            if not on_disk:
                raise
            failures.append(str(error))
            continue
        void += stored_as_void({what: given})
        read[name] = z
    if not read:
        message = f"no checkpoint could be read; {failures[0] if failures else 'none was given'}"
        raise InputError(message)
    more = f" (and {len(void) - 1:,} more)" if len(void) > 1 else ""
    return read, failures, [f"{void[0]}{more}"] if void else []


def _similarities(checkpoints: list[np.ndarray]) -> tuple[np.ndarray, list[float]]:
    """Return debiased CKA of each with the last, and of each with the next."""
    last = prepare(checkpoints[-1])
    with_last, with_next, before = [], [], None
    for z in checkpoints:
        now = prepare(z)
        with_last.append(debiased_cka(now, last))
        if before is not None:
            with_next.append(debiased_cka(before, now))
        before = now
    return np.array(with_last), with_next


def _relation(
    checkpoints: list[np.ndarray],
    spectra: np.ndarray,
    neighbouring: list[float],
    draws: np.random.Generator,
) -> tuple[bool | None, bool]:
    """Return whether rows correspond (None: unknown), and whether anything changed."""
    counts = {len(z) for z in checkpoints}
    if len(checkpoints) == 1:
        return None, True
    matched = False if len(counts) > 1 else rows_correspond(neighbouring, max(counts))
    if matched is False:
        return matched, same_distribution(checkpoints, draws) <= _DIFFERENT
    return matched, float(np.ptp(spectra, axis=0).max()) > _SAME * float(spectra.max())


def step_numbers(names: Sequence[str]) -> np.ndarray:
    """Return the last number in each name where these ascend, else 0, 1, 2 ...

    Example:
        >>> step_numbers(["z-000", "z-100.npy", "z-1000.npy"]).tolist()
        [0.0, 100.0, 1000.0]
        >>> step_numbers(["first", "second"]).tolist()
        [0.0, 1.0]
    """
    digits = [re.findall(r"\d+", name) for name in names]
    if all(digits):
        numbers = np.array([float(each[-1]) for each in digits])
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
