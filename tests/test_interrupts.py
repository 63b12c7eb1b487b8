"""Ctrl-C and termination at every moment: one line, the status of shells, nothing half-written."""

import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from jssl import interrupts

AT_AN_EVENT = """
import os, signal, sys

number, kinds, nth = int(sys.argv[1]), sys.argv[2].split(","), int(sys.argv[3])
sys.argv[1:] = sys.argv[4:]
seen = 0

def hook(event, arguments):
    global seen
    if event in kinds:
        seen += 1
        if seen == nth:
            signal.raise_signal(number)

# As from a terminal, even where the suite runs in the background of a script.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(hook)
from jssl.commands.main import main
main()
"""
WRITES = "os.rename,os.mkdir,os.remove,tempfile.mkstemp,tempfile.mkdtemp"


@pytest.fixture
def at_an_event(tmp_path):
    """Run a command that gets a signal at the n-th event of some kinds."""
    (tmp_path / "run.py").write_text(AT_AN_EVENT)
    np.save(tmp_path / "z.npy", np.random.default_rng(0).normal(size=(40, 3)))

    def run(number, kinds, nth, *arguments):
        command = [sys.executable, "run.py", str(int(number)), kinds, str(nth), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def assert_one_line(done, number, outcome):
    word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
    assert done.stderr == f"jssl: {word}; {outcome}\n"
    assert done.returncode == 128 + number


@pytest.mark.parametrize("nth", [60, 300, 600])  # of some 670
def test_ctrl_c_during_imports_is_one_line(at_an_event, tmp_path, nth):
    done = at_an_event(signal.SIGINT, "import", nth, "diagnose", "z.npy", "--out", "out")
    assert_one_line(done, signal.SIGINT, "nothing was written")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("nth", range(40, 640, 65))
def test_a_signal_at_any_import_is_one_line(at_an_event, tmp_path, nth, number):
    done = at_an_event(number, "import", nth, "diagnose", "z.npy", "--out", "out")
    assert_one_line(done, number, "nothing was written")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(1, 8))
def test_a_signal_while_a_report_is_written_leaves_both_files_or_none(at_an_event, tmp_path, nth):
    done = at_an_event(signal.SIGTERM, WRITES, nth, "diagnose", "z.npy", "--out", "out")
    if done.returncode == 0:  # fewer events
        assert done.stderr == ""
    elif (tmp_path / "out").exists():
        whole = "report.html and report.json in out are complete"
        assert_one_line(done, signal.SIGTERM, whole)
    else:
        assert_one_line(done, signal.SIGTERM, "nothing was written")
    left = sorted(os.listdir(tmp_path / "out")) if (tmp_path / "out").exists() else []
    assert left in ([], ["report.html", "report.json"])


STUDY = """
store = "store"
record = [0, 2]
precision = "float64"
[problem]
data = "digits"
samples = 10
model = "linear"
dim = 2
loss = "vicreg"
[axes]
learning_rate = [0.01, 0.02]
seed = 4
[layout]
seed_block = 1
chunk_seconds = 1e-9
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_write_of_a_sweep_leaves_a_store_that_goes_on(
    at_an_event, tmp_path, number
):
    (tmp_path / "study.toml").write_text(STUDY)
    statuses = []
    for nth in (1, 4, 8, 12, 16, 20):
        done = at_an_event(number, WRITES, nth, "sweep", "study.toml")
        statuses.append(done.returncode)
        assert "Traceback" not in done.stderr
        assert done.returncode in (0, 128 + number), done.stderr
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
    assert 128 + number in statuses
    done = at_an_event(number, "none", 0, "sweep", "study.toml")
    assert done.returncode == 0
    assert "store: finished, 8 runs" in done.stdout


def test_ctrl_c_after_the_last_line_changes_nothing():
    code = (
        "import atexit, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(lambda: signal.raise_signal(signal.SIGINT))\n"
        "from jssl.commands.main import main\n"
        "main(['reproduce', '--list'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stepwise")


def test_ctrl_c_before_signals_are_handled_is_one_line():
    code = (
        "import builtins, sys\n"
        "usual = builtins.__import__\n"
        "def stopped(name, *rest, **more):\n"
        "    if name == 'signal': raise KeyboardInterrupt\n"
        "    return usual(name, *rest, **more)\n"
        "from jssl.commands.main import main\n"
        "sys.modules.pop('signal', None)\n"
        "builtins.__import__ = stopped\n"
        "main(['--version'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert_one_line(done, signal.SIGINT, "nothing was written")


@pytest.fixture
def default_handlers():
    """Those of a terminal, even where the suite runs in the background of a script."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupts.begin()
    yield
    signal.signal(signal.SIGINT, usual)
    interrupts.begin()


@pytest.mark.usefixtures("default_handlers")
def test_a_deferred_signal_acts_at_the_end_of_the_context():
    done = []

    def work():
        with interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("first")
            done.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first", "second"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_signals_that_are_ignored_stay_ignored():
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.deferred():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("default_handlers")
def test_a_second_signal_ends_a_process_that_is_stuck_in_cleaning_up():
    code = (
        "import signal, time\n"
        "from jssl import interrupts\n"
        "interrupts.install()\n"
        "signal.signal(signal.SIGINT, interrupts._hear)\n"
        "with interrupts.unwinding():\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    finally:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        time.sleep(60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert_one_line(done, signal.SIGINT, "nothing was written")


@pytest.mark.usefixtures("default_handlers")
def test_an_interrupt_that_a_callback_swallowed_comes_again():
    def swallow_and_go_on():
        interrupts._raise_again(types.SimpleNamespace(exc_type=KeyboardInterrupt))
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        swallow_and_go_on()
