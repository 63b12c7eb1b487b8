"""Spectra of embeddings at checkpoints: learned steps, and the similarity with the last one."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from jssl.data.array_files import check_embeddings, stored_as_void, to_numpy
from jssl.data.embedding_files import StoredEmbeddings
from jssl.diagnosis.checkpoint_table import Table, tabulate
from jssl.diagnosis.history import Relation, history_summary
from jssl.diagnosis.homogeneity import same_distribution
from jssl.diagnosis.judgement import judge
from jssl.diagnosis.matching import debiased_cka, debiased_cka_error, prepare, rows_correspond
from jssl.diagnosis.spectra import spectrum_of
from jssl.errors import InputError
from jssl.formulas.steps import LEARNED_SHARE, PLATEAU, Steps, detect_steps
from jssl.formulas.verdict import Thresholds, state_of

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
        kinds: kind of collapse of each, one of `jssl.formulas.verdict.STATES`.
        similarity: (checkpoints,) debiased linear CKA with the last, in [-1, 1]; 0 on average for
            unrelated embeddings. NaN for other numbers of rows, fewer than four, and a constant.
        similarity_errors: (checkpoints,) their standard errors.
        table: metrics of every checkpoint, and the best of them.
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
    similarity_errors: np.ndarray
    table: Table
    same_rows: bool | None
    changed: bool
    steps: Steps | None
    failures: tuple[str, ...]
    summary: list[str]
    caveats: list[str]


class Given(NamedTuple):
    """What checkpoints are compared with.

    Attributes:
        dim: of the embeddings of which these are checkpoints.
        views: second views of each checkpoint, as the checkpoints; None without.
        classes: (n,) integers from 0, -1 for no label; None without.
        neighbours: k of the nearest-neighbour probe.
        thresholds: of the verdict.
    """

    dim: int
    views: Sequence[Any] | Mapping[str, Any] | None = None
    classes: np.ndarray | None = None
    neighbours: int = 20
    thresholds: Thresholds = Thresholds()


def follow(
    checkpoints: Sequence[Any] | Mapping[str, Any], given: Given, draws: np.random.Generator
) -> CheckpointHistory:
    """Return the history of embeddings over checkpoints.

    Args:
        checkpoints: arrays, or name -> array or path. One that cannot be used is listed in
            `failures`, and the others are still read.
        given: labels, views and thresholds.
        draws: generator for the sample on which sets of rows that do not correspond are compared.

    Raises:
        InputError: where nothing could be read.
    """
    checkpoints, order = _in_order(checkpoints)
    read, failures, caveats = _read(checkpoints, given.dim, "checkpoint")
    caveats = order + caveats
    every = list(read.values())
    found = [spectrum_of(z) for z in every]
    spectra = np.stack([np.resize(s.eigenvalues, given.dim) for s in found])
    for row, z in zip(spectra, every, strict=True):
        row[len(z) :] = 0
    kinds = tuple(_kind(z, s, given.thresholds) for z, s in zip(every, found, strict=True))
    similarity, errors, neighbouring = _similarities(every)
    same_rows, changed = _relation(every, spectra, neighbouring, draws)
    t = step_numbers(tuple(read))
    steps = None
    if changed and len(t) >= 3:
        steps = detect_steps(t, spectra, spectra[-1], LEARNED_SHARE, PLATEAU, np)
    views, classes, notes = _companions(read, given, same_rows)
    table = tabulate(every, found, views, classes, given.neighbours, given.thresholds.tolerance)
    counts = [len(z) for z in every]
    relation = Relation(same_rows, changed, counts)
    summary = history_summary(t, table, kinds, steps, relation, tuple(read))
    notes += _unnumbered(tuple(read))
    if len(t) < 3:
        notes.append("Detecting steps needs three checkpoints or more.")
    notes += [f"A checkpoint was left out: {failure}" for failure in failures]
    return CheckpointHistory(
        tuple(read),
        t,
        spectra,
        table.values["effective rank"],
        kinds,
        similarity,
        errors,
        table,
        same_rows,
        changed,
        steps,
        tuple(failures),
        summary,
        caveats + notes,
    )


def _in_order(checkpoints: Any) -> tuple[Any, list[str]]:
    """Return named checkpoints in the order of their numbers, and a caveat where it was another."""
    if not isinstance(checkpoints, Mapping):
        return checkpoints, []
    values = {str(name): value for name, value in checkpoints.items()}
    names = by_number(list(values))
    numbers = [int(re.findall(r"\d+", _without_suffix(n))[-1]) for n in names if _is_numbered(n)]
    if len(numbers) < len(names) or names == list(values) or sorted(set(numbers)) != numbers:
        return checkpoints, []
    note = f"The checkpoints were put in the order of the numbers in their names, {names[0]} to "
    return {name: values[name] for name in names}, [f"{note}{names[-1]}."]


def _unnumbered(names: tuple[str, ...]) -> list[str]:
    """Return a caveat where names of checkpoints have no number."""
    unknown = [name for name in names if not _is_numbered(name)]
    if not unknown or len(names) < 2:
        return []
    return [
        f"Checkpoints are counted 0, 1, 2, ... in the order {names[0]} to {names[-1]}, because the "
        f"name {unknown[0]} has no number. Put the step into every name for its own order and step."
    ]


def _kind(z: np.ndarray, spectrum: Any, thresholds: Thresholds) -> str:
    chosen = np.linspace(0, len(z) - 1, min(len(z), 2000)).astype(int)
    return state_of(judge(z, spectrum, chosen, thresholds).verdict, thresholds)


def _companions(
    read: Mapping[str, np.ndarray], given: Given, same_rows: bool | None
) -> tuple[list[np.ndarray] | None, np.ndarray | None, list[str]]:
    """Return views of the checkpoints that were read, the classes of their rows, and caveats."""
    notes: list[str] = []
    views, classes = None, given.classes
    if given.views is not None:
        others, lost, notes = _read(given.views, given.dim, "views of checkpoint")
        fits = all(n in others and others[n].shape == z.shape for n, z in read.items())
        notes += [f"Views were left out: {line}" for line in lost]
        if fits:
            views = [others[name] for name in read]
        else:
            notes.append(
                "The alignment of checkpoints was left out: it needs views of the same shape for "
                "each of them, under the same names."
            )
    if classes is not None and any(len(z) != len(classes) for z in read.values()):
        classes = None
        notes.append(
            "The probes of checkpoints were left out: they have other numbers of rows "
            "than the labels."
        )
    elif classes is not None and same_rows is False:
        classes = None
        notes.append(
            "The probes of checkpoints were left out: the checkpoints do not contain the "
            "same samples in the same order."
        )
    if classes is not None:
        notes.append(
            "The probes of all checkpoints use one split of the rows, which is not that of the "
            "probes of the embeddings: their accuracies of one file differ by their errors."
        )
    return views, classes, notes


def _read(
    checkpoints: Sequence[Any] | Mapping[str, Any], dim: int, kind: str
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Return the checkpoints that can be used, a line for each that cannot, and caveats."""
    items = checkpoints.items() if isinstance(checkpoints, Mapping) else enumerate(checkpoints)
    read, failures, void = {}, [], []
    for name, value in ((str(name), value) for name, value in items):
        on_disk = hasattr(value, "__fspath__")
        what = f"{kind} {name}"
        try:
            given, notes = (
                StoredEmbeddings.of(value).read(what)
                if on_disk
                else (value, stored_as_void({what: value}))
            )
            z = check_embeddings(what, to_numpy(what, given, lazy=True))
            if z.shape[1] != dim:
                message = f"{what} has {z.shape[1]} dimensions, the embeddings {dim}"
                raise InputError(message)
        except InputError as error:
            failures.append(str(error))
            continue
        void += notes
        read[name] = z
    if not read and kind == "checkpoint":
        message = f"no checkpoint could be read; {failures[0] if failures else 'none was given'}"
        raise InputError(message)
    more = f" (and {len(void) - 1:,} more)" if len(void) > 1 else ""
    return read, failures, [f"{void[0]}{more}"] if void else []


def _similarities(checkpoints: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Return debiased CKA of each with the last, its errors, and that of each with the next."""
    last = prepare(checkpoints[-1])
    with_last, errors, with_next, before = [], [], [], None
    for z in checkpoints:
        now = prepare(z)
        with_last.append(debiased_cka(now, last))
        errors.append(debiased_cka_error(now, last))
        if before is not None:
            with_next.append(debiased_cka(before, now))
        before = now
    return np.array(with_last), np.array(errors), with_next


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
    digits = [re.findall(r"\d+", _without_suffix(name)) for name in names]
    if all(digits):
        numbers = np.array([float(each[-1]) for each in digits])
        if (np.diff(numbers) > 0).all():
            return numbers
    return np.arange(len(names), dtype=float)


def by_number(names: Sequence[str]) -> list[str]:
    """Return names in the order of the numbers in them, so that 10 follows 9.

    Example:
        >>> by_number(["z10.npy", "final.npy", "z9.npy"])
        ['z9.npy', 'z10.npy', 'final.npy']

    A name without a number, such as that of the last checkpoint, comes after all others.
    """

    def key(name: str) -> tuple[bool, list[Any]]:
        parts = [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", name)]
        return not _is_numbered(name), parts

    return sorted(names, key=key)


def _is_numbered(name: str) -> bool:
    """Return whether there is a number in the name of a file, without its suffix and folder."""
    return any(map(str.isdigit, _without_suffix(PurePath(name).name)))


def _without_suffix(name: str) -> str:
    """Return a name without a suffix that holds a digit."""
    return re.sub(r"\.(h5|h5ad|hdf5)$", "", name, flags=re.IGNORECASE)
