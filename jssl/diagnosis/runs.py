"""Several runs side by side: their checkpoints, and which run has the better best one."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from jssl.diagnosis.checkpoint_table import SURE, jackknife_error
from jssl.diagnosis.checkpoints import CheckpointHistory
from jssl.errors import InputError


def split_runs(checkpoints: Any, views: Any) -> dict[str, tuple[Any, Any]]:
    """Return run -> (checkpoints, views). Checkpoints of one run have the name "".

    Example:
        >>> split_runs({"a": {"1": 0}, "b": {"1": 0}}, None)
        {'a': ({'1': 0}, None), 'b': ({'1': 0}, None)}

    Args:
        checkpoints: of one run, or a mapping from names of runs to the checkpoints of each.
        views: the same for the views, or None.

    Raises:
        InputError: where only some values are runs.
    """
    if not isinstance(checkpoints, Mapping):
        return {"": (checkpoints, views)}
    several = [isinstance(value, Mapping) for value in checkpoints.values()]
    if not any(several):
        return {"": (checkpoints, views)}
    if not all(several):
        message = "checkpoints mixes runs and arrays; give all runs, each name -> array, or no run"
        raise InputError(message)
    of_views = views if isinstance(views, Mapping) else {}
    return {str(name): (run, of_views.get(name)) for name, run in checkpoints.items()}


def compare_runs(histories: Mapping[str, CheckpointHistory]) -> list[str]:
    """Return a sentence for each pair of runs: whose best checkpoint is better, and how surely.

    Args:
        histories: of each run.
    """
    lines = []
    for (one, first), (two, second) in combinations(histories.items(), 2):
        a, b = first.table, second.table
        if a.best is None or b.best is None or a.rule != b.rule:
            continue
        assert a.replicates is not None
        assert b.replicates is not None
        if a.replicates.shape[1] != b.replicates.shape[1]:
            continue
        difference = a.replicates[a.best] - b.replicates[b.best]
        error = float(jackknife_error(difference[:-1]))
        better, worse = (one, two) if difference[-1] >= 0 else (two, one)
        names = f"{first.names[a.best]} of {one} and {second.names[b.best]} of {two}"
        by = f"by {a.rule}: a difference of {abs(difference[-1]):.3f} ± {error:.2g}"
        if abs(difference[-1]) <= SURE * error:
            lines.append(f"The best checkpoints, {names}, are not distinguishable {by}.")
        else:
            lines.append(f"The best checkpoint of {better} is better than that of {worse} {by}.")
    return lines
