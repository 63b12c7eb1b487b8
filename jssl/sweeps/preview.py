"""What a study would run: its programs, their time and memory, and what a store holds already."""

from typing import NamedTuple

from jssl.errors import printable
from jssl.progress import duration
from jssl.sweeps import store as stores
from jssl.sweeps.bases import in_basis
from jssl.sweeps.costs import cost_of, devices_of
from jssl.sweeps.grid import make_grid
from jssl.sweeps.opening import Opened, open_study
from jssl.sweeps.plan import Plan, chunk_bytes, count_chunks, predicted_seconds
from jssl.sweeps.study import Study
from jssl.sweeps.workload import make_workload, one_device_line


class PlannedProgram(NamedTuple):
    """What one program would run.

    Attributes:
        at: the values that are constants of it, "all points" where there are none.
        runs: number of runs.
        lanes: runs a call.
        together: runs that a device maps together.
        memory: bytes on all devices.
        compile_seconds: predicted; 0 where it is cached.
        run_seconds: predicted.
    """

    at: str
    runs: int
    lanes: int
    together: int
    memory: float
    compile_seconds: float
    run_seconds: float


class Preview(NamedTuple):
    """What a study would run.

    Attributes:
        plan: in which pieces.
        programs: one each.
        runs: number of runs.
        steps: of each run.
        chunks: number of pieces.
        done: how many of them the store has.
        new: what the study asks for beyond its store, one line each; the finished runs are kept.
        compile_seconds: predicted, of all programs.
        run_seconds: predicted, of all runs.
        caveat: a line about programs that run on one device, or nothing.
    """

    plan: Plan
    programs: tuple[PlannedProgram, ...]
    runs: int
    steps: int
    chunks: int
    done: int
    new: tuple[str, ...]
    compile_seconds: float
    run_seconds: float
    caveat: str

    def __repr__(self) -> str:
        lines = [
            f"{p.at}: {p.runs:,} runs, {p.memory / 1e6:.3g} MB, {duration(p.compile_seconds)} to "
            f"compile, {duration(p.run_seconds)} to run"
            for p in self.programs
        ]
        return "\n".join([*lines, summary(self)])


def preview_of(study: Study) -> Preview:
    """Return what a study would run; nothing is written.

    Raises:
        InputError: for a study that cannot run, or a store of another study.
    """
    workload = make_workload(make_grid(study))
    opened = open_study(workload, measure=False, cost_of=cost_of)
    plan = opened.plan
    known = opened.result is not None
    done = len(stores.finished_names(str(study.store))) if known else 0
    steps = max(int(study.record_steps[-1]), 1)
    programs = []
    for x in plan.layouts:
        runs, devices = x.program.points * workload.grid.seeds, devices_of(x.cost, plan.devices)
        pairs = (f"{name}={printable(str(value))}" for name, value in x.program.static)
        memory = chunk_bytes(x, workload.machine) * devices
        seconds = runs * x.cost.step * steps / devices
        at = ", ".join(pairs) or "all points"
        at += " (in the eigenbasis of Gamma)" if in_basis(plan.workload, x.program) else ""
        programs.append(PlannedProgram(at, runs, x.lanes, x.micro, memory, x.cost.compile, seconds))
    return Preview(
        plan,
        tuple(programs),
        workload.grid.runs,
        steps,
        count_chunks(plan),
        done,
        () if opened.growth is None else opened.growth.lines,
        *predicted_seconds(plan),
        one_device_line(workload, [x.program for x in plan.layouts]),
    )


def summary(preview: Preview) -> str:
    """Return the line that sums up what would run."""
    plan = preview.plan
    padded = f"; widths padded {dict(plan.bins)}" if plan.bins else ""
    new = f"; new in the store: {'; '.join(preview.new)}" if preview.new else ""
    return (
        f"{preview.runs:,} runs of {preview.steps:,} steps in {preview.chunks:,} chunks "
        f"({preview.done:,} done) on {plan.devices} x {plan.workload.machine.platform}{padded}; "
        f"about {duration(preview.compile_seconds)} to compile and "
        f"{duration(preview.run_seconds)} to run{new}"
    )


def growing_line(opened: Opened) -> str:
    """Return the line that says that a store grows, and by what."""
    lines = () if opened.growth is None else opened.growth.lines
    store = opened.plan.workload.grid.study.store
    return f"{store} grows, finished runs are kept; new: {'; '.join(lines)}"
