import json
import signal
import subprocess
import sys
import time
import types

import pytest

from jssl import cli, experiments
from jssl.experiments.claims import close
from jssl.experiments.outcome import Experiment, Part


@pytest.fixture
def paper(monkeypatch):
    """Register one paper of one study, the given function."""

    def register(study):
        module = types.SimpleNamespace(plan=lambda settings: Experiment({"one": study}))
        monkeypatch.setattr(experiments, "PAPERS", {"demo": "demo"})
        monkeypatch.setitem(sys.modules, "demo", module)

    return register


def judged(measured):
    return Part([close("demo/one", "one is one", "arithmetic", 1.0, measured, 0.1)], [])


@pytest.mark.parametrize(("measured", "status"), [(1.0, 0), (2.0, 1)])
def test_exit_status_says_whether_every_claim_holds(paper, tmp_path, capsys, measured, status):
    paper(lambda settings: judged(measured))
    assert cli.run(["reproduce", "--out", str(tmp_path)]) == status
    assert "demo/one" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_text())["passed"] is (status == 0)


def test_scale_and_seed_reach_the_experiment(paper, tmp_path):
    seen = []

    def run(settings):
        seen.append((settings.scale, settings.seed))
        settings.progress("half way", 0.5)
        return judged(1.0)

    paper(run)
    cli.run(["reproduce", "--out", str(tmp_path), "--scale", "paper", "--seed", "7"])
    assert seen == [("paper", 7)]


def test_an_interrupted_run_leaves_the_earlier_report(paper, tmp_path, capsys):
    paper(lambda settings: judged(1.0))
    cli.run(["reproduce", "--out", str(tmp_path)])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def interrupted(settings):
        raise KeyboardInterrupt

    paper(interrupted)
    assert cli.run(["reproduce", "--out", str(tmp_path)]) == 130
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reproduce", "stepwize"], "did you mean 'stepwise'"),
        (["reproduce", "--seed", "-1"], "--seed must be between"),
        (["reproduce", "--jobs", "0"], "--jobs must be 1 or more"),
        (["reproduce", "--out", "/dev/null/sub"], "choose a writable folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, says, capsys):
    assert cli.run(arguments) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["reproduce", "--jobs", "x"], "--jobs"),
        (["reproduce", "--scale", "big"], "Expected one of ('quick', 'paper', 'large')"),
        (["reproduce", "--sead", "3"], "perhaps you meant --seed"),
        (["reproduse"], "available subcommands: reproduce"),
        (["sweep"], "Missing from jssl sweep: PATH"),
        ([], "Expected one of {reproduce"),
    ],
)
def test_arguments_not_understood_are_one_line_and_status_2(arguments, says, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.run(arguments)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("jssl: ")
    assert says in error
    assert "--help" in error
    assert error.count("\n") == 1


def test_help_answers_at_once_and_without_jax():
    code = "import sys, jssl.cli; print('jax' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    durations = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "jssl", "--help"], check=True, capture_output=True)
        durations.append(time.perf_counter() - started)
    assert (
        min(durations) < 2.0
    )  # the target is 0.5 s on an idle machine; two workers share this one


def test_doctor_names_devices_versions_kernels_and_data(capsys):
    assert cli.run(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in (
        "jax",
        "devices",
        "precision",
        "infinite-width kernels",
        "digits",
        "fashion_mnist",
    ):
        assert word in out


def test_an_interrupt_that_a_callback_swallowed_comes_again():
    def swallow_and_go_on():
        cli._insist(types.SimpleNamespace(exc_type=KeyboardInterrupt))
        time.sleep(5)

    # As from a terminal, even where the suite runs in the background of a script.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            swallow_and_go_on()
    finally:
        signal.signal(signal.SIGINT, usual)


def test_an_interrupt_waits_until_jax_is_imported(monkeypatch, capsys):
    done = []

    def slow_import(name):
        signal.raise_signal(signal.SIGINT)
        done.append(name)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(cli.importlib, "import_module", slow_import)
        assert cli.run(["doctor"]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["jax"]
    assert "interrupted" in capsys.readouterr().err
