"""Processes that come, and one that never comes: one line, after a stated time."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jssl.commands import main as cli
from jssl.commands import processes
from jssl.commands import sweep as command
from jssl.sweeps import StoreError


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_process_that_never_comes_is_one_line_after_the_stated_time(monkeypatch):
    monkeypatch.setattr(processes, "STARTING", 600.0)  # the time below is the child's own
    started = time.monotonic()
    with pytest.raises(StoreError) as error:
        processes.process_index(place := f"127.0.0.1:{free_port()}", 2, 0, timeout=1)
    assert time.monotonic() - started < 60  # a start of Python, on a machine that others share
    assert str(error.value) == (
        f"not all of the 2 processes connected to {place} within 1 s; start each with the same "
        "--coordinator and --num-processes, or give a longer --coordinator-timeout"
    )


def test_a_child_that_does_not_start_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(processes, "STARTING", -0.9)
    with pytest.raises(StoreError, match="not all of the 2 processes connected to localhost:1"):
        processes.process_index("localhost:1", 2, 1, timeout=1)


@pytest.mark.slow
def test_processes_learn_who_they_are():
    place = f"127.0.0.1:{free_port()}"
    with ThreadPoolExecutor(2) as both:
        found = both.map(lambda i: processes.process_index(place, 2, i, timeout=120), range(2))
        assert list(found) == [(0, 2), (1, 2)]


@pytest.mark.slow
def test_slurm_tells_processes_who_they_are(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NODELIST", "localhost")
    for name, value in (("JOB_ID", 4711), ("PROCID", 0), ("LOCALID", 3), ("NTASKS", 1)):
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    seen = {}
    monkeypatch.setattr(processes.jax.config, "update", seen.__setitem__)
    assert processes.process_index("auto", None, None, timeout=120) == (0, 1)
    assert seen == dict.fromkeys(processes.VISIBLE, "3")  # its own accelerator of the machine's


def test_a_port_in_use_is_said(monkeypatch):
    errors = "E0000 add_port.cc:83] Failed to add port to server: No address added"
    error = processes._failure("localhost:1", 2, 5, errors)
    assert str(error) == "the port of localhost:1 is in use; give another one to all processes"


def test_a_command_ends_with_status_1_where_the_others_do_not_come(tmp_path, monkeypatch, capsys):
    (tmp_path / "study.toml").write_text(
        f'store = "{tmp_path}/store"\nrecord = [0, 1]\n[problem]\ndata = "digits"\n'
        'samples = 10\nmodel = "linear"\ndim = 2\nloss = "vicreg"\n[axes]\nlearning_rate = [0.01]\n'
    )
    monkeypatch.setattr(processes, "STARTING", -0.9)
    monkeypatch.setattr(command, "use_all_cores", lambda devices: 1)  # JAX has started
    place = ["--coordinator", "localhost:1", "--num-processes", "2", "--process-id", "1"]
    arguments = ["sweep", str(tmp_path / "study.toml"), *place, "--coordinator-timeout", "1"]
    assert cli.run(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jssl: not all of the 2 processes connected to localhost:1 within 1 s")
    assert not (tmp_path / "store").exists()
    for bad, says in (
        (["--coordinator", "localhost"], "must be host:port, or auto; got 'localhost'"),
        (["--coordinator", "localhost:x"], "must be host:port"),
        (["--coordinator-timeout", "0"], "--coordinator-timeout must be from 1"),
    ):
        assert cli.run(["sweep", str(tmp_path / "study.toml"), *bad]) == 2
        assert says in capsys.readouterr().err
