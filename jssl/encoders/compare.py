"""`jssl.compare_encoders`: embeddings of the same rows by several encoders, or layers of one.

The name differs from `jssl.compare`, which lays a prediction over a simulation: the two take other
arguments and return other results, and one function for both would have to guess from types.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from jssl.data.array_files import check_embeddings, to_numpy
from jssl.data.checks import require_count
from jssl.diagnosis.diagnosis import diagnose
from jssl.diagnosis.result import Diagnosis
from jssl.encoders.components import Components, Overlap, components, overlap
from jssl.encoders.ranking import criterion_named, rank_encoders
from jssl.encoders.result import EncoderComparison
from jssl.encoders.summary import caveats_of, summary_of
from jssl.errors import InputError, shown
from jssl.formulas.libraries import quietly
from jssl.formulas.similarity import debiased_cka, prepared
from jssl.formulas.sphere import Measured

ROWS = 10_000
"""Rows of the random sample on which encoders are compared with each other."""

LEAST = 8
"""Rows that a comparison needs."""

NEEDED = "a comparison needs the embeddings of two or more encoders or layers"

_CURVE = 256


def compare_encoders(
    encoders: Mapping[str, Any] | Sequence[Any],
    labels: Any = None,
    *,
    criterion: str = "rankme",
    seed: int = 0,
) -> EncoderComparison:
    """Return how embeddings of the same rows by several encoders agree, and which ranks first.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(400, 8))
        >>> collapsed = x @ np.diag([1, 1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
        >>> seen = compare_encoders({"early": x, "late": collapsed})
        >>> print(seen.best, seen.ranking.first.tolist())
        early [1.0, 0.0]
        >>> print(0.2 < seen.cka["early", "late"].value < 0.7)
        True

    The spectra are exact over all rows. The debiased CKA, the shared subspaces and the ranking are
    computed on the same random sample of at most 10,000 rows of each encoder. Errors are those of
    another draw of the rows, by the jackknife; rows must be independent, one for each sample.

    Subspaces are those of as many leading principal components as the smaller of the two effective
    ranks, at most a twentieth of the rows. Unrelated encoders then have no principal angle below 45
    degrees.

    Args:
        encoders: two or more: name -> embeddings (n, dim) of the same n samples in the same order,
            or a sequence of them; dimensions may differ. Arrays of NumPy, JAX or PyTorch.
        labels: (n,) classes, for the probes of each encoder; they do not change the ranking.
        criterion: "rankme", "effective rank" or "participation ratio", also written with hyphens as
            on the command line; high is better.
        seed: of the sample, and of the draws of the ranking.

    Returns:
        EncoderComparison.

    Raises:
        InputError: for fewer than two encoders, other numbers of rows, fewer than 8 rows, an
            unknown criterion, and arrays or labels that `jssl.diagnose` refuses.
    """
    criterion = criterion_named(criterion)
    seed = require_count("seed", seed, low=0, high=2**32 - 1)
    arrays = {name: checked(name, z) for name, z in _named(encoders).items()}
    return compare_checked(arrays, labels, criterion, seed)


def checked(name: str, z: Any) -> np.ndarray:
    """Return the embeddings of one encoder as an array (n, dim), as they are compared.

    Example:
        >>> checked("early", [[1.0, 2.0]])
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: early must be (n, dim) with n >= 2; got shape (1, 2)

    Raises:
        InputError: for arrays that `jssl.diagnose` refuses.
    """
    return check_embeddings(name, to_numpy(name, z, lazy=True))


def compare_checked(
    arrays: Mapping[str, np.ndarray],
    labels: Any,
    criterion: str,
    seed: int,
    samples: np.ndarray | None = None,
) -> EncoderComparison:
    """Return the comparison of embeddings that are `checked`.

    Args:
        arrays: two or more: name -> (n, dim).
        labels: as `compare_encoders`.
        criterion: one of `jssl.encoders.ranking.CRITERIA`.
        seed: as `compare_encoders`.
        samples: (n,) numbers of the samples, as `jssl.diagnose`; used where there are labels.

    Raises:
        InputError: for other numbers of rows, fewer than 8 rows, and labels that do not fit.
    """
    count = _same_count(arrays)
    groups = None if labels is None else samples
    diagnoses = {name: diagnose(z, labels, seed=seed, samples=groups) for name, z in arrays.items()}
    draws = np.random.default_rng(seed)
    chosen = np.arange(count)
    if count > ROWS:
        chosen = np.sort(draws.choice(count, ROWS, replace=False))
    rows = {name: _rows(z, chosen) for name, z in arrays.items()}
    parts = {name: components(z) for name, z in rows.items()}
    cka = _similarities(rows)
    overlaps = {pair: _overlap(parts, diagnoses, pair) for pair in combinations(arrays, 2)}
    ranked = [components(z, centre=False) for z in rows.values()] if criterion == "rankme" else None
    ranking = rank_encoders(ranked or list(parts.values()), criterion, draws)
    settings = {
        "rows": count,
        "rows compared": len(chosen),
        "dimensions": {name: z.shape[1] for name, z in arrays.items()},
        "criterion": criterion,
        "seed": seed,
    }
    seen = EncoderComparison(diagnoses, cka, overlaps, criterion, ranking, (), (), settings)
    return seen._replace(summary=summary_of(seen), caveats=caveats_of(seen))


def _named(encoders: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    if isinstance(encoders, Mapping):
        named = {str(name): z for name, z in encoders.items()}
    elif isinstance(encoders, list | tuple):
        named = {f"encoder {i}": z for i, z in enumerate(encoders, 1)}
    else:
        message = "encoders must be a dictionary of name -> embeddings, or a list of them; got "
        raise InputError(message + f"a {type(encoders).__name__}")
    if len(named) < 2:
        what = f"one, {shown(next(iter(named)))}" if named else "none"
        message = f"{NEEDED}; got {what}"
        raise InputError(message)
    return named


def _same_count(arrays: Mapping[str, np.ndarray]) -> int:
    counts = {name: len(z) for name, z in arrays.items()}
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        message = f"encoders are compared on the same rows, but their numbers differ: {each}; "
        raise InputError(message + "embed the same samples in the same order with each")
    count = next(iter(counts.values()))
    if count < LEAST:
        message = f"a comparison needs {LEAST} rows or more; got {count}"
        raise InputError(message)
    return count


def _rows(z: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.asarray(z if len(chosen) == len(z) else z[chosen], np.float64)


def _similarities(rows: Mapping[str, np.ndarray]) -> dict[tuple[str, str], Measured]:
    with quietly(np):
        ready = {name: prepared(z, np) for name, z in rows.items()}
        found = {(a, b): debiased_cka(ready[a], ready[b], np) for a, b in combinations(rows, 2)}
    return {
        pair: Measured(float(np.clip(each.value, -1, 1)), float(each.error))
        for pair, each in found.items()
    }


def _overlap(
    parts: Mapping[str, Components], diagnoses: Mapping[str, Diagnosis], pair: tuple[str, str]
) -> Overlap:
    first, second = (parts[name] for name in pair)
    n = len(first.scores)
    there = min(len(first.values), len(second.values))
    if not there:
        nothing = float("nan")
        return Overlap(np.empty(0), 0, nothing, nothing, nothing, np.empty(0))
    rank = min(diagnoses[name].metrics["effective rank"].value for name in pair)
    leading = int(np.clip(round(rank), 1, max(1, min(there, n // 20))))
    return overlap(first, second, leading, max(leading, min(there, _CURVE, n // 4)))
