"""Time peers side by side in one run, and keep the ratio.

Absolute times say more about the machine than about the code, so a benchmark measures its peers in
turns, in the same run, and reports ratios of medians.
"""

import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

RESULTS = pathlib.Path(__file__).parent / "results"


class Timing(NamedTuple):
    """Seconds of one contestant.

    Attributes:
        median: over the repeats.
        spread: half the range between the fastest and the slowest, over the median.
        repeats: number of timed calls.
    """

    median: float
    spread: float
    repeats: int


def measure(
    functions: Mapping[str, Callable[[], Any]],
    *,
    repeats: int | Mapping[str, int] = 5,
    warmup: int = 1,
) -> dict[str, Timing]:
    """Time functions in turns, each result waited for, so that all meet the same conditions.

    Args:
        functions: name -> function of nothing.
        repeats: timed rounds, or how many for each name (slow peers drop out early).
        warmup: rounds before them that are not timed (compilation).
    """
    rounds = repeats if isinstance(repeats, Mapping) else dict.fromkeys(functions, repeats)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(-warmup, max(rounds.values())):
        for name, function in functions.items():
            if turn >= rounds[name]:
                continue
            begin = time.perf_counter()
            jax.block_until_ready(function())
            if turn >= 0:
                seconds[name].append(time.perf_counter() - begin)
    return {name: timing(values) for name, values in seconds.items()}


def ratios(timings: Mapping[str, Timing], ours: str) -> dict[str, float]:
    """Return how many times faster `ours` is than each peer."""
    mine = timings[ours].median
    return {name: timing.median / mine for name, timing in timings.items() if name != ours}


def report(
    name: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, float], *, dtype: Any
) -> pathlib.Path:
    """Print the rows and the facts (ratios, errors), and write both to `results/<name>.json`.

    Args:
        name: of the benchmark; the file is called after it.
        rows: one dictionary a line of the table, all with the same keys.
        facts: ratios against peers and errors, by what they say.
        dtype: in which numbers were computed.
    """
    table = Table(*rows[0], title=name)
    for row in rows:
        table.add_row(*(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()))
    console = Console()
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact}: {value:.3g}")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"name": name, "setting": _setting(dtype), "rows": list(rows), "facts": dict(facts)}
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def timing(seconds: list[float]) -> Timing:
    """Return the median and the spread of repeated measurements."""
    median = statistics.median(seconds)
    return Timing(median, (max(seconds) - min(seconds)) / 2 / median, len(seconds))


def _setting(dtype: Any) -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "jax": jax.__version__,
        "numpy": np.__version__,
        "device": device.device_kind,
        "devices": jax.device_count(),
        "cores": os.cpu_count(),
        "dtype": np.dtype(dtype).name,
    }
