"""`jssl reproduce`: run papers' claims with progress, print the verdicts, write the report."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from jssl import interrupts
from jssl import papers as registry
from jssl.commands.paper_names import paper_names
from jssl.errors import InputError
from jssl.papers import Outcome, Scale, Settings
from jssl.papers.claims import count, nearest_rival
from jssl.papers.parallel import outcomes, processes
from jssl.papers.report import write_report
from jssl.report.files import new_report_folder
from jssl.report.html import number
from jssl.types import Claim

UNDECIDED = 3
"""Exit status if no claim fails and at least one is undecided."""


def reproduce(
    papers: Sequence[str],
    scale: Scale,
    out: Path,
    seed: int,
    jobs: int | None = 1,
    *,
    overwrite: bool = False,
) -> int:
    """Run papers at a scale; return 0 if every claim holds, 1 if one fails and 3 otherwise.

    With status 3 no claim fails, but at least one is undecided.

    The report is written once everything has run, so an interrupted run leaves an earlier report
    as it was.

    Args:
        papers: names in `jssl.papers.PAPERS` in any case, or arXiv numbers; empty for all.
        scale: `quick`, `paper` or `large`.
        out: folder of the report.
        seed: root seed, 0 or more.
        jobs: processes that run studies side by side; None for one per core on CPU.
        overwrite: whether an earlier report in the folder is replaced.

    Raises:
        InputError: for an unknown paper, a negative seed, no process or a folder that cannot be
            written or contains a report, before anything runs; where a process is lost.
    """
    names = list(paper_names(papers, registry.PAPERS)) or list(registry.PAPERS)
    if not 0 <= seed < 2**32:
        message = f"--seed must be between 0 and 2**32 - 1; got {seed}"
        raise InputError(message)
    asked = Settings(scale, seed)
    side_by_side = processes(jobs, names, asked)
    folder = new_report_folder(out, overwrite=overwrite)
    started = time.perf_counter()
    with interrupts.unwinding():
        results = _with_progress(names, asked, side_by_side)
        seconds = round(time.perf_counter() - started, 1)
        settings = {
            "command": f"jssl reproduce {' '.join(names)} --scale {scale} --seed {seed}",
            "scale": scale,
            "seed": seed,
            "processes": side_by_side,
            "seconds": seconds,
        }
        lost: InputError | None = None
        try:
            page, data = write_report(folder, results, settings)
        except InputError as error:  # for instance a full disk: the claims are still printed
            lost = error
        claims = [claim for outcome in results.values() for claim in outcome.claims]
        console = Console()
        console.print(claims_table(claims))
        for name, outcome in results.items():
            for sentence in (*outcome.summary, *outcome.caveats):
                console.print(f"{name}: {sentence}", markup=False, highlight=False)
        verdicts = count(claims)
        others = [f", {verdicts[v]} {v}" for v in ("undecided", "fails") if verdicts[v]]
        line = f"{verdicts['holds']} of {len(claims)} claims hold{''.join(others)}, {seconds:.0f} s"
        if lost is not None:
            console.print(line)
            raise lost
        console.print(f"{line}; {page} and {data.name}")
    return 1 if verdicts["fails"] else UNDECIDED if verdicts["undecided"] else 0


def _with_progress(
    names: Sequence[str], settings: Settings, side_by_side: int
) -> dict[str, Outcome]:
    """Run the papers under a progress bar for each."""
    columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(
        *columns,
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
    ) as bar:
        bars = {name: bar.add_task(name, total=1.0, start=False) for name in names}

        def show(name: str, what: str, share: float) -> None:
            bar.start_task(bars[name])
            bar.update(bars[name], completed=share, description=f"{name}: {what}")
            if share >= 1:
                bar.update(bars[name], description=name)
                bar.stop_task(bars[name])

        return outcomes(names, settings, side_by_side, show)


def claims_table(claims: Iterable[Claim]) -> Table:
    """Return the claims as a table for the terminal."""
    table = Table(title="claims", show_lines=False, pad_edge=False)
    table.add_column("claim", overflow="fold", ratio=3)
    table.add_column("predicted", justify="right", no_wrap=True)
    table.add_column("measured", justify="right", no_wrap=True)
    table.add_column("tolerance", justify="right", no_wrap=True)
    table.add_column("nearest rival", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    styles = {
        "holds": "[green]holds[/green]",
        "undecided": "[yellow]undecided[/yellow]",
        "fails": "[bold red]FAILS[/bold red]",
    }
    signs = {"=": "", "<=": "≤ ", ">=": "≥ "}
    for claim in claims:
        nearest = nearest_rival(claim)
        table.add_row(
            claim.name,
            signs[claim.relation] + number(claim.predicted),
            number(claim.measured),
            number(claim.tolerance) if claim.tolerance or claim.relation == "=" else "–",
            "none" if nearest is None else number(nearest.value),
            styles[claim.verdict],
        )
    return table
