"""A sweep shows its progress on a terminal and in a notebook, and nowhere else."""

import io
import sys
import types

import jax.numpy as jnp
import pytest
from rich.console import Console

import jssl
from jssl import losses, models
from jssl.data import pairs, toy
from jssl.optim import gradient_descent
from jssl.progress import Progress, progress_bar

HALF = Progress(50, 100, 10.0, 5.0, 2_000_000_000, 1, {})


def make_problem(learning_rate):
    data = toy.pairs_with_cross_moment(jnp.array([1.0, 0.5]), 4)
    loss, rule = losses.get("vicreg"), gradient_descent(learning_rate)
    return jssl.Problem(pairs.fixed(data), models.linear(2, 1), loss, rule)


def sweep(**options):
    return jssl.sweep(make_problem, {"learning_rate": [0.01]}, record_steps=[0, 1], **options)


def terminal(monkeypatch):
    """Make stderr a terminal of 100 columns; return the stream that is written to."""
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", written)
    for name, value in {"TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return written


def test_a_sweep_from_python_draws_a_bar_on_a_terminal(monkeypatch):
    written = terminal(monkeypatch)
    sweep()
    assert "1 of 1 runs" in written.getvalue()


@pytest.mark.parametrize("progress", [False, lambda progress: None])
def test_a_sweep_draws_no_bar_where_it_is_turned_off_or_replaced(monkeypatch, progress):
    written = terminal(monkeypatch)
    sweep(progress=progress)
    assert written.getvalue() == ""


def test_a_sweep_is_silent_where_stderr_is_not_a_terminal(capsys):
    sweep()
    assert capsys.readouterr() == ("", "")


def test_the_bar_of_work_that_raises_is_removed(monkeypatch):
    written = terminal(monkeypatch)
    with pytest.raises(ZeroDivisionError), progress_bar("sweep") as show:
        show(HALF) or 1 / 0
    last = written.getvalue().rpartition("50 of 100 runs")[2]
    assert "\x1b[2K" in last  # the line is erased


def test_a_bar_on_a_given_console_is_drawn_even_into_a_file():
    written = io.StringIO()
    with progress_bar("sweep", Console(file=written, width=100)) as show:
        show(HALF)
    assert "50 of 100 runs, 10 runs/s, 5 s left" in written.getvalue()


def test_a_notebook_shows_one_line_that_is_replaced(monkeypatch):
    shown = []

    class Handle:
        def update(self, data, raw):
            assert raw
            shown.append(data["text/plain"])

    def display(data, raw, display_id):
        shown.append(data["text/plain"])
        return Handle()

    module = types.ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(Console, "is_jupyter", True, raising=False)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with progress_bar("sweep") as show:
        show(HALF)
    assert shown == [
        "sweep: compiling",
        "sweep ██████████░░░░░░░░░░ 50 of 100 runs, 10 runs/s, 5 s left, 2 GB, 1 diverged",
    ]
