"""Progress of long work: numbers, one line of text, and a bar on the terminal or in a notebook."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console


class Progress(NamedTuple):
    """How many runs of a sweep are finished.

    Attributes:
        done: finished runs, those of an earlier call included.
        total: runs of this call's shard.
        rate: runs a second of this call.
        seconds_left: at that rate.
        memory: peak bytes of this process.
        diverged: finished runs whose loss or parameters were not finite at some step.
        spent: seconds of this call in `compile`, `compute` (launching, and waiting for results) and
            `write`; those of all workers together on a cluster.
    """

    done: int
    total: int
    rate: float
    seconds_left: float
    memory: int
    diverged: int
    spent: Mapping[str, float]


def describe(progress: Progress) -> str:
    """Return progress as one line: runs, rate, time left, memory, diverged runs.

    Example:
        >>> describe(Progress(50, 100, 10.0, 5.0, 2_000_000_000, 1, {}))
        '50 of 100 runs, 10 runs/s, 5 s left, 2 GB, 1 diverged'
    """
    parts = [f"{progress.done:,} of {progress.total:,} runs"]
    if progress.rate:  # it is 0 until a chunk is finished in this process
        parts.append(f"{progress.rate:.3g} runs/s")
        parts.append(f"{duration(progress.seconds_left)} left")
    parts.append(f"{progress.memory / 1e9:.2g} GB")
    parts.append(f"{progress.diverged:,} diverged")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Return a duration with a suitable unit.

    Example:
        >>> print(duration(0.5), duration(90), duration(7300), duration(float("inf")))
        0.5 s 1.5 min 2 h ?
    """
    if not math.isfinite(seconds):
        return "?"
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds / 86400:.3g} days"


@contextlib.contextmanager
def progress_bar(
    name: str, console: "Console | None" = None
) -> Iterator[Callable[[Progress], None]]:
    """Give a function that draws progress on stderr; the bar is removed where the work raises.

    Example:
        >>> with progress_bar("sweep") as show:  # nothing is drawn: stderr is not a terminal
        ...     show(Progress(1, 2, 1.0, 1.0, 0, 0, {}))

    Args:
        name: what stands before the bar.
        console: where to draw; None for stderr where it is a terminal, for the output of the cell
            in a notebook, and otherwise for no bar at all.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    if console is None:
        console = Console(stderr=True)
        if console.is_jupyter:
            yield _in_notebook(name)
            return
        if not console.is_terminal:
            yield lambda _: None
            return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(name, state="compiling")

        def show(progress: Progress) -> None:
            state = describe(progress)
            bar.update(task, total=progress.total, completed=progress.done, state=state)

        try:
            yield show
        except BaseException:
            bar.live.transient = True  # remove the bar, so that the last line is the error
            console.quiet = not console.is_terminal  # and print no empty line where it is a file
            raise


def _in_notebook(name: str) -> Callable[[Progress], None]:
    """Return a function that draws progress as a line of text below a notebook's cell."""
    from IPython.display import display

    line: Any = display({"text/plain": f"{name}: compiling"}, raw=True, display_id=True)

    def show(progress: Progress) -> None:
        filled = 20 * progress.done // max(progress.total, 1)
        text = f"{name} {'█' * filled}{'░' * (20 - filled)} {describe(progress)}"
        line.update({"text/plain": text}, raw=True)

    return show
