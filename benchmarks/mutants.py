"""Deliberate errors in the code under test, one at a time: which claims does each kill?

    python -m benchmarks.mutants                  # every paper; about an hour of one core
    python -m benchmarks.mutants stepwise landscape --new

A mutant is one replacement in one source file, made while a process imports the package; no file
changes. The studies that use the file are run at scale quick, as are those of the unchanged
package. A claim is killed if it holds without the error and does not hold with it, and all claims
of a study are killed if it stops with an error. A mutant that kills no claim points to a claim that
is missing.

The result is `results/mutants.md`. Results are kept in `results/mutants.json`, so that a run of
some papers keeps the rows of the others.
"""

import argparse
import contextlib
import importlib.machinery
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.mutant import Mutant
from benchmarks.mutants_list import FIRST
from benchmarks.mutants_more import MORE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MUTANTS = [*FIRST, *MORE]
LIMIT = 1800
"""Seconds after which a study of a mutant counts as stopped."""

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir()) / "jssl-mutants"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.05",
}
"""A program that an error does not change is compiled once for all mutants."""

IMPORTED_ONCE = ["jax", "optax", "scipy.stats", "scipy.optimize", "xarray", "matplotlib.pyplot"]
"""What every process needs besides jssl; a server imports it once and forks."""


class Found(NamedTuple):
    """What studies found.

    Attributes:
        verdicts: claim -> verdict.
        seconds: of the processor.
    """

    verdicts: dict[str, str]
    seconds: float


def verdicts(paper: str, studies: tuple[str, ...], mutant: Mutant | None = None) -> Found:
    """Return the verdicts of studies in a process of its own; none if it stops or takes too long.

    Args:
        paper: of the studies.
        studies: names.
        mutant: the error; None for the unchanged package.
    """
    context = multiprocessing.get_context("forkserver")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_judge, args=(send, paper, studies, mutant))
    process.start()
    send.close()
    try:
        return receive.recv() if receive.poll(LIMIT) else Found({}, LIMIT)
    except EOFError:
        return Found({}, 0.0)
    finally:
        process.kill()
        process.join()


def _judge(send: Connection, paper: str, studies: tuple[str, ...], mutant: Mutant | None) -> None:
    begin = time.process_time()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        if mutant is not None:
            _replace_on_import(mutant)
        from jssl.papers import Settings, run_study_or_record_failure

        found: dict[str, str] = {}
        for study in studies:
            part = run_study_or_record_failure(paper, study, Settings("quick", 0))
            found |= {claim.name: claim.verdict for claim in part.claims}
    send.send(Found(found, time.process_time() - begin))


def mutated(mutant: Mutant) -> str:
    """Return the source of the mutant's file with the error in it.

    Raises:
        ValueError: if the text to replace does not occur exactly once.
    """
    text = (ROOT / mutant.file).read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        message = f"{mutant.file}: {mutant.old!r} occurs {text.count(mutant.old)} times, not 1"
        raise ValueError(message)
    return text.replace(mutant.old, mutant.new)


def _replace_on_import(mutant: Mutant) -> None:
    path, source = str(ROOT / mutant.file), mutated(mutant)
    kind: Any = importlib.machinery.SourceFileLoader
    original = kind.get_code

    def get_code(loader: importlib.machinery.SourceFileLoader, name: str) -> object:
        if os.path.realpath(loader.get_filename(name)) == os.path.realpath(path):
            return compile(source, path, "exec")
        return original(loader, name)

    kind.get_code = get_code


def run(papers: list[str], *, new: bool) -> None:
    """Run the mutants of papers, and write the table after each."""
    target = RESULTS / "mutants.json"
    rows = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    known = {mutant.key for mutant in MUTANTS}
    rows = {key: row for key, row in rows.items() if key in known}
    chosen = [one for one in MUTANTS if one.paper in papers and not (new and one.key in rows)]
    for mutant in chosen:
        mutated(mutant)  # every replacement fits before the first run
    healthy = dict(_healthy(chosen))
    for mutant in chosen:
        held = {
            name
            for study in mutant.studies
            for name, verdict in healthy[mutant.paper, study].items()
            if verdict == "holds"
        }
        found = verdicts(mutant.paper, mutant.studies, mutant)
        names = sorted(name for name in held if found.verdicts.get(name) != "holds")
        rows[mutant.key] = {
            "paper": mutant.paper,
            "error": mutant.what,
            "file": mutant.file,
            "claims": len(held),
            "killed": names,
            "stopped": not held & found.verdicts.keys(),
        }
        target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "mutants.md").write_text(table(rows), encoding="utf-8")
        kills = f"{len(names)} of {len(held)} killed, {found.seconds:.0f} s"
        print(f"{mutant.paper}: {mutant.what}: {kills}", flush=True)


def _healthy(mutants: list[Mutant]) -> Iterator[tuple[tuple[str, str], dict[str, str]]]:
    """Run each study that the mutants need once, without an error."""
    needed = dict.fromkeys((one.paper, study) for one in mutants for study in one.studies)
    for paper, study in needed:
        found = verdicts(paper, (study,))
        print(f"{paper}: {study}: {len(found.verdicts)} claims, {found.seconds:.0f} s", flush=True)
        yield (paper, study), found.verdicts


def table(rows: dict) -> str:
    """Return the table in Markdown, with a line for each mutant."""
    caught = sum(bool(row["killed"]) for row in rows.values())
    left = len(MUTANTS) - len(rows)
    lines = [
        f"# Mutants: claims kill {caught} of {len(rows)}",
        "",
        *([f"{left} of the {len(MUTANTS)} mutants of the list were not run yet.", ""] * bool(left)),
        "    python -m benchmarks.mutants",
        "",
        "Each line is one deliberate error in the code under test. The claims are those of the "
        "studies that were run with it, at scale quick, seed 0, and hold without it.",
        "",
        "| paper | error | file | killed | claims |",
        "|---|---|---|--:|---|",
    ]
    order = {mutant.key: place for place, mutant in enumerate(MUTANTS)}
    for key in sorted(rows, key=order.__getitem__):
        row = rows[key]
        names = [name.split("/", 1)[1] for name in row["killed"]]
        shown = ", ".join(f"`{name}`" for name in names[:6]) or "**none**"
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        count = f"{len(names)} of {row['claims']}" + " (stopped)" * row["stopped"]
        lines.append(
            f"| {row['paper']} | {row['error']} | `{row['file']}` | {count} | {shown}{more} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Run the mutants of the named papers, or of all."""
    papers = sorted({mutant.paper for mutant in MUTANTS})
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("papers", nargs="*", metavar="PAPER", help=f"of {', '.join(papers)}")
    parser.add_argument("--new", action="store_true", help="only mutants without a result yet")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.papers) - set(papers))
    if unknown:
        parser.error(f"no mutants of {', '.join(unknown)}; there are those of {', '.join(papers)}")
    os.environ.update(ENVIRONMENT)
    multiprocessing.get_context("forkserver").set_forkserver_preload(IMPORTED_ONCE)
    run(given.papers or papers, new=given.new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
