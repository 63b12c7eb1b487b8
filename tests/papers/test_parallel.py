"""Studies side by side: the same findings, one line for every way to fail, nothing left running."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from jssl import papers
from jssl.errors import InputError
from jssl.papers import Settings, parallel

PAPER = """
import os, time

import jax

from jssl.errors import InputError
from jssl.papers.claims import close
from jssl.papers.outcome import Experiment, Part
from jssl.report.figure import Figure
from jssl.figures import new_figure

def draw(settings):
    settings.progress("half way", 0.5)
    figure, (axes,) = new_figure(1)
    axes.plot([0, 1], [0, 1])
    value = float(jax.random.normal(jax.random.key(settings.seed), ()))
    shown = [Figure("f", "t", "d", figure)]
    return Part([close("demo/draw", "s", "source", 0.0, value, 9.0)], shown)

def process(settings):
    return Part([close("demo/process", "s", "source", 0.0, 0.0, 1.0)], [], (str(os.getpid()),))

def refuse(settings):
    raise InputError("a study refuses; give it something else")

def stumble(settings):
    raise ZeroDivisionError("nothing to divide by")

def die(settings):
    os._exit(9)

def sleep(settings):
    settings.progress("asleep", 0.1)
    time.sleep(300)

def plan(settings):
    known = {"draw": draw, "process": process, "refuse": refuse, "die": die}
    known |= {"stumble": stumble}
    known |= {"sleep": sleep, "doze": sleep}
    asked = os.environ["STUDIES"].split()
    return Experiment({name: known[name] for name in asked}, {"scale": settings.scale}, ("end",))
"""


@pytest.fixture
def paper(tmp_path, monkeypatch):
    """Register a paper of the named studies; every process finds it by its name."""

    def register(studies):
        (tmp_path / "demo_paper.py").write_text(PAPER)
        (tmp_path / "sitecustomize.py").write_text(
            "from jssl import papers\npapers.PAPERS['demo'] = 'demo_paper'\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("STUDIES", studies)
        monkeypatch.setitem(papers.PAPERS, "demo", "demo_paper")
        monkeypatch.delitem(sys.modules, "demo_paper", raising=False)

    return register


def test_processes_find_what_one_process_finds(paper, capfd):
    paper("draw stumble process")
    shown = {1: [], 2: []}
    found = {
        jobs: parallel.outcomes(
            ["demo"], Settings("paper", 3), jobs, lambda *news, jobs=jobs: shown[jobs].append(news)
        )["demo"]
        for jobs in (1, 2)
    }
    assert found[1].claims == found[2].claims
    assert found[2].settings == {"scale": "paper"}
    here, there = found[1].summary[1], found[2].summary[1]
    assert here == str(os.getpid()) != there
    assert found[2].caveats == ("end",)
    assert found[2].figures[0].figure.png.startswith(b"\x89PNG")
    for news in shown.values():
        assert [share for *_, share in news] == sorted(share for *_, share in news)
        assert any(what == "half way" for _, what, _ in news)
        assert news[-1][-1] == 1
    assert ("demo", "half way", 0.5 / 3) in shown[1]
    ended = found[2].claims[1]  # a study that raises becomes a claim that fails
    assert (ended.name, ended.passed) == ("demo/ended-stumble", False)
    assert found[2].summary[0] == (
        "The study 'stumble' stopped with ZeroDivisionError: nothing to divide by"
    )
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("study", "says"),
    [
        pytest.param("refuse", "a study refuses", marks=pytest.mark.slow),
        ("die", "rerun with --jobs 1"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_process(paper, study, says):
    paper(f"sleep {study}")
    before = set(multiprocessing.active_children())
    with pytest.raises(InputError, match=says):
        parallel.outcomes(["demo"], Settings(), 2, lambda *news: None)
    for child in set(multiprocessing.active_children()) - before:
        deadline = time.monotonic() + 60
        while child.exitcode is None and time.monotonic() < deadline:
            child.join(1)  # may return early: the pool's own thread reaps children too
        assert child.exitcode is not None


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_processes_end_with_the_run(paper, tmp_path, stop):
    paper("sleep doze")
    code = textwrap.dedent(
        """
        import signal, sys
        from jssl.commands import main as cli
        if __name__ == "__main__":
            # As from a terminal, even where the suite runs in the background of a script.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            command = ["reproduce", "demo", "--jobs", "2", "--out", sys.argv[1]]
            sys.exit(cli.run(command, own_process=True))
        """
    )
    (tmp_path / "start.py").write_text(code)
    command = [sys.executable, str(tmp_path / "start.py"), str(tmp_path / "out")]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while len(_session(started.pid)) < 5 and time.monotonic() < deadline:  # tracker, server
            time.sleep(0.1)
        os.kill(started.pid, stop)
        assert started.wait(120) == (130 if stop == signal.SIGINT else -signal.SIGKILL)
        deadline = time.monotonic() + 60
        while _session(started.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _session(started.pid) == []
    finally:
        for process in _session(started.pid):
            os.kill(process, signal.SIGKILL)
        started.wait()
    assert not (tmp_path / "out").exists()


def _session(leader):
    """Return the living processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii") as file:
                    state, _, _, session = file.read().rsplit(")", 1)[1].split()[:4]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(session) == leader and state != "Z":
                found.append(int(name))
    return found


def test_processes_are_as_many_as_cores_and_memory_bear(paper, monkeypatch):
    paper("draw process sleep doze")
    monkeypatch.setattr(parallel, "cores", lambda: 3)
    for free, scale, expected in ((100e9, "quick", 3), (9e9, "quick", 2), (9e9, "paper", 1)):
        monkeypatch.setattr(parallel, "free_memory", lambda free=free: free)
        assert parallel.processes(None, ["demo"], Settings(scale)) == expected
    assert parallel.processes(7, ["demo"], Settings()) == 4


def test_importing_a_paper_computes_nothing_with_jax():
    """Workers are forked from a process that imported the papers; JAX's threads would be lost."""
    names = ["jssl.papers.parallel", *papers.PAPERS.values()]
    code = (
        "import importlib, os\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "child = os.fork()\n"  # JAX warns here once it has computed anything
        "os._exit(0) if child == 0 else os.waitpid(child, 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert "os.fork" not in done.stderr
