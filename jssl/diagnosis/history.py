"""A series of checkpoints in words."""

from typing import NamedTuple

import numpy as np

from jssl.formulas.steps import Steps
from jssl.formulas.verdict import KINDS


class Relation(NamedTuple):
    """How checkpoints belong together.

    Attributes:
        same_rows: whether they hold the same samples in the same order; None where unknown.
        changed: whether their distribution changes.
        counts: rows of each.
    """

    same_rows: bool | None
    changed: bool
    counts: list[int]


def history_words(
    t: np.ndarray,
    ranks: np.ndarray,
    kinds: tuple[str, ...],
    steps: Steps | None,
    relation: Relation,
) -> list[str]:
    """Return what happened between checkpoints as sentences."""
    if len(t) == 1:
        return [f"One checkpoint was read, of effective rank {ranks[0]:.4g}."]
    words = [
        f"Over {len(t)} checkpoints the effective rank goes from {ranks[0]:.4g} to {ranks[-1]:.4g}"
        f" (at most {ranks.max():.4g})."
    ]
    if relation.same_rows is False:
        words.append(_other_rows(relation))
    elif not relation.changed:
        words.append("The spectra are equal: nothing was learned between them.")
    if steps is not None:
        words.append(_steps(t, steps))
    if relation.changed:
        ranked = [KINDS.index(kind) for kind in kinds]
        fallen = [i for i in range(1, len(kinds)) if ranked[i] > ranked[i - 1]]
        if fallen:
            words.append(f"Collapse sets in ({kinds[fallen[0]]}) at checkpoint {t[fallen[0]]:g}.")
    return words


def _other_rows(relation: Relation) -> str:
    low, high = min(relation.counts), max(relation.counts)
    why = (
        f"their numbers of rows differ ({low:,} to {high:,})"
        if low < high
        else "their rows do not correspond (CKA of neighbours is 0 within sampling noise)"
    )
    if not relation.changed:
        return (
            "All have one distribution within sampling noise: nothing was learned between them, "
            f"and {why}. They look like parts of one set, not like checkpoints of one encoder."
        )
    return (
        f"They do not hold the same samples in the same order: {why}. What is said of training "
        "holds only if each is a random sample of one set; parts of a set are no checkpoints."
    )


def _steps(t: np.ndarray, steps: Steps) -> str:
    times = np.asarray(steps.half_times)
    there = int((times <= t[0]).sum())
    found = times[times > t[0]]
    told = ", ".join(f"{x:.3g}" for x in found[:8])
    told += f", ... ({len(found)} in all)" if len(found) > 8 else ""
    count = int(steps.distinct)
    apart = "1 separate step" if count == 1 else f"{count} separate steps"
    learned = int(steps.learned)
    what = "1 dimension was" if learned == 1 else f"{learned} dimensions were"
    sentence = f"{what} learned (above a tenth of the largest at the end), in {apart}; "
    if not there:
        return f"{sentence}half there at {told or 'no time'}."
    before = f"{there} of them had half their last variance at the first checkpoint"
    return f"{sentence}{before}" + (f", the others reached it at {told}." if told else ".")
