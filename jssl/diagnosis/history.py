"""The summary of embeddings over checkpoints, as sentences."""

from typing import NamedTuple

import numpy as np

from jssl.diagnosis.checkpoint_table import Table
from jssl.formulas.steps import Steps
from jssl.formulas.verdict import STATES


class Relation(NamedTuple):
    """How the rows of checkpoints are related.

    Attributes:
        same_rows: whether they hold the same samples in the same order; None where unknown.
        changed: whether their distribution changes.
        counts: number of rows of each.
    """

    same_rows: bool | None
    changed: bool
    counts: list[int]


def history_summary(
    t: np.ndarray,
    table: Table,
    kinds: tuple[str, ...],
    steps: Steps | None,
    relation: Relation,
    names: tuple[str, ...],
) -> list[str]:
    """Return the changes between checkpoints as sentences, and which of them is best."""
    ranks = table.values["effective rank"]
    if len(t) == 1:
        return [f"One checkpoint was read. Its effective rank is {ranks[0]:.4g}."]
    lines = [
        f"Over {len(t)} checkpoints the effective rank goes from {ranks[0]:.4g} to {ranks[-1]:.4g}"
        f" (largest {ranks.max():.4g})."
    ]
    if relation.same_rows is False:
        lines.append(_other_rows(relation))
    elif not relation.changed:
        lines.append(
            "The spectra of the centred rows are equal, so nothing was learned between the "
            "checkpoints."
        )
    if steps is not None and kinds[-1] not in ("near one point", "complete"):
        lines.append(_steps(t, steps))
    if relation.changed and table.best is not None:
        lines.append(_best(table, names))
    return lines + _collapses(t, kinds)


def _collapses(t: np.ndarray, kinds: tuple[str, ...]) -> list[str]:
    """Return where a collapse begins and where it is over, a sentence for each, at most three.

    Example:
        >>> _collapses(np.array([0.0, 100.0, 200.0]), ("none", "dimensional", "none"))
        ['Collapse (dimensional) begins at checkpoint 100 and is over at checkpoint 200.']
        >>> _collapses(np.array([0.0, 100.0]), ("complete", "complete"))
        ['Collapse (complete) is there at the first checkpoint and does not end.']
    """
    ranked = [STATES.index(kind) for kind in kinds]
    lines = []
    for i in range(len(kinds)):
        if ranked[i] <= (ranked[i - 1] if i else 0):
            continue
        better = next((j for j in range(i + 1, len(kinds)) if ranked[j] < ranked[i]), None)
        where = f"begins at checkpoint {t[i]:g}" if i else "is there at the first checkpoint"
        line = f"Collapse ({kinds[i]}) {where}"
        if better is not None:
            then = f"is {kinds[better]}" if ranked[better] else "is over"
            line += f" and {then} at checkpoint {t[better]:g}"
        elif not i:
            line += " and does not end" if ranked[-1] == ranked[0] else ""
        lines.append(f"{line}.")
    more = len(lines) - 3
    return lines[:3] + ([f"{more:,} more collapses follow."] if more > 0 else [])


def _best(table: Table, names: tuple[str, ...]) -> str:
    """Return which checkpoint is best, by which rule, and which are not distinguishable from it."""
    assert table.best is not None
    metric = table.rule.removeprefix("the highest ")
    value, error = table.values[metric][table.best], table.errors[metric][table.best]
    line = (
        f"The best checkpoint is {names[table.best]}, by {table.rule}: {value:z.3f} ± {error:.2g}."
    )
    if not table.near:
        return f"{line} All others differ from it by more than two standard errors."
    listed = ", ".join(names[i] for i in table.near[:5])
    listed += f", ... ({len(table.near)} in all)" if len(table.near) > 5 else ""
    one = len(table.near) == 1
    return f"{line} Not distinguishable from it {'is' if one else 'are'} {listed}."


def _other_rows(relation: Relation) -> str:
    low, high = min(relation.counts), max(relation.counts)
    why = (
        f"their numbers of rows differ ({low:,} to {high:,})"
        if low < high
        else "their rows do not correspond (the CKA of neighbours is 0 within sampling noise)"
    )
    if not relation.changed:
        return (
            "All checkpoints have the same distribution within sampling noise, so nothing was "
            f"learned between them, and {why}. They are probably parts of one data set and not "
            "checkpoints of one encoder."
        )
    return (
        f"The checkpoints do not contain the same samples in the same order: {why}. The results "
        "below describe training only if each checkpoint is a random sample of one data set."
    )


def _steps(t: np.ndarray, steps: Steps) -> str:
    times = np.asarray(steps.half_times)
    at_start = int((times <= t[0]).sum())
    later = times[times > t[0]]
    listed = "checkpoint " if len(later) == 1 else "checkpoints "
    listed += ", ".join(f"{x:.3g}" for x in later[:8])
    listed += f", ... ({len(later)} in all)" if len(later) > 8 else ""
    count, learned = int(steps.distinct), int(steps.learned)
    what = "1 dimension was" if learned == 1 else f"{learned} dimensions were"
    how = "all in one step" if count == 1 else f"in {count} separate steps"
    how = "" if learned == 1 else f", {how}"
    sentence = f"{what} learned{how} (final variance above a tenth of the largest final variance)"
    if not at_start:
        return f"{sentence}, half-learned at {listed}." if len(later) else f"{sentence}."
    was, others = "was" if at_start == 1 else "were", "other" if len(later) == 1 else "others"
    early = f"{at_start} of them {was}" if len(later) else "all of them were"
    early = "it was" if learned == 1 else early
    sentence += f"; {early} half-learned at the first checkpoint"
    return f"{sentence}, and the {others} at {listed}." if len(later) else f"{sentence}."
