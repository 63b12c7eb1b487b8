"""A sweep on a cluster of two processes: the bits of a local run, whatever is killed."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import distributed
import numpy as np
import pytest
from sweep_problems import linear_problem

import jssl
from jssl.commands import main as cli
from jssl.errors import InputError
from jssl.sweeps import StoreError, Target, cluster, store, sweep_until
from jssl.sweeps.cluster.worker import Job, run_chunk

# The scheduler and the nannies of workers run in threads here, and warn where a machine is slow.
pytestmark = pytest.mark.filterwarnings("default")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STEPS = [0, 2, 10]
AXES = {"learning_rate": [0.01, 0.02, 0.03], "seed": 12}
PIECES = {"seed_block": 1, "chunk_seconds": 1e-9}
SETTINGS = {
    "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}


def make(folder, problem=linear_problem, axes=AXES, **options):
    given = {"record_steps": STEPS, "store": folder, **PIECES, **options}
    return jssl.sweep(problem, axes, **given)


def content(folder):
    """All files of a store; the revision of the code in it may change while tests run."""
    files = (p for p in sorted(Path(folder).rglob("*")) if p.is_file())
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}
    return {n: d for n, d in files.items() if n not in ("zarr.json", "jssl/checksums.json")}


@pytest.fixture(scope="module")
def workers():
    """A cluster of two processes of one thread each, which may take long to start again."""
    patience = {"distributed.deploy.lost-worker-timeout": "900s"}  # 15 s, which importing JAX takes
    with (
        dask.config.set(patience),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            env=SETTINGS,
            death_timeout=900,
        ) as made,
    ):
        yield made


@pytest.fixture(autouse=True)
def keep_the_scheduler_of_dask():
    """A client whose scheduler was lost stays that of dask, by which later tests read stores."""
    with dask.config.set(scheduler="threads"):
        yield


@pytest.fixture
def client(workers):
    with distributed.Client(workers) as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of a local run in float64."""
    folder = tmp_path_factory.mktemp("cluster") / "whole"
    with jssl.precision.float64():
        make(folder)
    return folder


def test_a_cluster_gives_the_bits_of_a_local_run(client, whole, tmp_path):
    seen = []
    result = make(tmp_path / "store", client=client, progress=seen.append)
    assert content(tmp_path / "store") == content(whole)
    assert result.eigenvalues.dtype == np.float64
    assert [seen[0].done, seen[-1].done, seen[-1].total] == [0, 36, 36]
    assert set(seen[-1].spent) == {"compile", "compute", "write"}
    keys = set(client.run(lambda: len(sys.modules["jssl.sweeps.cluster.worker"]._states)).values())
    assert keys <= {0, 1}


def test_more_chunks_than_the_scheduler_has_at_a_time_are_all_computed(
    client, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(cluster, "TASKS", 1)  # then there are four for each thread
    assert 4 * sum(client.nthreads().values()) < 12
    make(tmp_path / "store", client=client)
    assert content(tmp_path / "store") == content(whole)


def test_an_interrupted_local_run_is_finished_by_a_cluster(client, whole, tmp_path):
    make(tmp_path / "store", shard=(0, 2))
    make(tmp_path / "store", client=client)
    assert content(tmp_path / "store") == content(whole)


@pytest.mark.parametrize("kills", [2])
def test_killed_workers_change_no_bit(workers, client, whole, tmp_path, kills):
    killed_at_random(workers, client, whole, tmp_path / "store", kills)


@pytest.mark.slow
def test_workers_killed_twenty_times_change_no_bit(workers, client, tmp_path):
    axes = {**AXES, "seed": 120}
    make(tmp_path / "whole", axes=axes)
    killed_at_random(workers, client, tmp_path / "whole", tmp_path / "store", 20, axes=axes)


def killed_at_random(workers, client, whole, folder, kills, axes=AXES):
    """Kill random workers, each a moment after a receipt; compare with an uninterrupted run."""
    choose, dead = random.Random(0), []

    def kill(progress):
        nannies = list(workers.workers.values())
        if len(dead) < kills and progress.done and choose.random() < 0.5:
            process = choose.choice(nannies).pid
            if process and process not in dead:
                time.sleep(0.01 * choose.random())
                os.kill(process, signal.SIGKILL)
                dead.append(process)

    make(folder, axes=axes, client=client, progress=kill)
    assert len(dead) == kills
    assert content(folder) == content(whole)


def test_a_cluster_that_changes_its_size_loses_nothing(workers, client, whole, tmp_path):
    sizes = iter([1, 2])

    def resize(progress):
        if progress.done in (6, 18):
            workers.scale(next(sizes))

    try:
        make(tmp_path / "store", client=client, progress=resize)
    finally:
        workers.scale(2)
    assert content(tmp_path / "store") == content(whole)


def test_seeds_are_added_on_a_cluster_as_in_one_process(client, tmp_path):
    target = Target("loss", half_width=0.02, least=4)
    options = {"record_steps": STEPS, "chunk_seconds": 1e-9}
    given = linear_problem, {**AXES, "seed": 16}, target
    sweep_until(*given, store=tmp_path / "local", **options)
    sweep_until(*given, store=tmp_path / "store", client=client, **options)
    assert content(tmp_path / "store") == content(tmp_path / "local")


def test_a_receipt_that_was_lost_costs_no_second_run(whole, monkeypatch):
    study = jssl.sweeps.study.make_study(linear_problem, AXES, STEPS, store=whole, **PIECES)
    attributes, plan = store.read_plan(whole)
    assert attributes["settings"]["seed"] == 0
    pickled = cluster.pickled(study)
    cache = {"jax_compilation_cache_dir": None}
    job = Job("token", pickled, plan, "float64", cluster.versions(), cache)
    workload = jssl.sweeps.workload.make_workload(jssl.sweeps.grid.make_grid(study))
    chunk = next(jssl.sweeps.plan.chunks(jssl.sweeps.plan.from_json(workload, plan)))
    receipt = run_chunk(job, chunk, np.ones(3, bool))
    assert receipt.spent == {"compile": 0.0, "compute": 0.0, "write": 0.0}
    assert (receipt.name, receipt.runs) == (chunk.name, 3)
    with pytest.raises(
        InputError, match=r"the problem is another one .*the store has another plan"
    ):
        run_chunk(job._replace(token="b", plan={**plan, "seed_block": 2}), chunk, np.ones(3, bool))
    monkeypatch.setattr(cluster.worker, "versions", lambda: {**job.versions, "jax": "0.0"})
    with pytest.raises(InputError, match=r"the worker here has 0\.0 of jax"):
        run_chunk(job._replace(token="c"), chunk, np.ones(3, bool))


def test_what_cannot_run_on_a_cluster_is_refused_before_anything_is_written(
    client, tmp_path, monkeypatch
):
    lock = threading.Lock()

    def locked(learning_rate):
        with lock:
            return linear_problem(learning_rate)

    folder = tmp_path / "store"
    for given, says in (
        ({"folder": None, "client": client}, "client=.* needs a store that all workers share"),
        ({"folder": "memory://a", "client": client}, "workers do not share memory://"),
        ({"folder": folder, "client": 3}, "must be a dask.distributed.Client; got int"),
        ({"folder": folder, "client": client, "shard": (0, 2)}, "not both"),
        ({"folder": folder, "client": client, "problem": locked}, "make_problem cannot be sent to"),
    ):
        with pytest.raises(InputError, match=says):
            make(**given)
    monkeypatch.setattr(cluster, "versions", lambda: {"jssl": "9.9", "jax": "1", "jaxlib": "1"})
    with pytest.raises(InputError, match=r"the worker tcp://\S+ has 0.1.0 of jssl and this proc"):
        make(folder, client=client)
    assert list(tmp_path.iterdir()) == []


STUDY = """
store = "{store}"
record = [0, 2, 10]
precision = "float64"
[problem]
make = "sweep_problems:linear_problem"
[axes]
learning_rate = [0.01, 0.02, 0.03]
seed = 12
[layout]
seed_block = 1
chunk_seconds = 1e-9
"""


def test_the_command_runs_a_study_on_a_scheduler(workers, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jssl.commands.sweep.use_all_cores", lambda devices: 1)  # JAX has started
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(store=tmp_path / "store"))
    assert cli.run(["sweep", str(path), "--scheduler", workers.scheduler_address]) == 0
    assert "finished, 36 runs" in capsys.readouterr().out
    assert content(tmp_path / "store") == content(whole)


def test_a_scheduler_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jssl.commands.sweep.use_all_cores", lambda devices: 1)
    monkeypatch.setattr(cluster, "START_SECONDS", 0.2)
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(store=tmp_path / "store"))
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        assert cli.run(["sweep", str(path), "--scheduler", address]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"jssl: no scheduler answers at {address}; start one")
    assert cli.run(["sweep", str(path), "--scheduler", "tcp://a:1", "--shard", "0/2"]) == 2
    assert "leave out --shard" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


CLIENT = """
import sys, jssl, distributed
from jssl.precision import float64
from sweep_problems import linear_problem
axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": int(sys.argv[3])}
if __name__ == "__main__":
    with float64(), distributed.Client(sys.argv[2]) as client:
        jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10], store=sys.argv[1], seed_block=1,
                   chunk_seconds=1e-9, client=client)
"""


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["client", "scheduler"])
def test_a_killed_client_or_scheduler_leaves_a_store_that_goes_on_to_the_same_bits(
    tmp_path, victim
):
    seeds, folder = 100, tmp_path / "store"
    environment = os.environ | SETTINGS
    address = f"tcp://127.0.0.1:{random.Random(victim).randint(20_000, 60_000)}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    dask += ["--host", address]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    worker += ["--no-dashboard", "--death-timeout", "60"]
    command = [sys.executable, "-c", CLIENT, str(folder), address, str(seeds)]
    started = [
        subprocess.Popen(c, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        for c in (dask, worker, worker, command)
    ]
    scheduler, *_, running = started
    try:
        while len(store.finished_names(folder)) < 10:
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.01)
        (running if victim == "client" else scheduler).kill()
        errors = running.communicate(timeout=300)[1]
        if victim == "scheduler":
            assert running.returncode != 0
            assert "was lost; finished chunks are kept" in errors
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.communicate(timeout=60)
    assert len(store.finished_names(folder)) < seeds
    axes = {**AXES, "seed": seeds}
    make(folder, axes=axes)
    make(tmp_path / "whole", axes=axes)
    assert content(folder) == content(tmp_path / "whole")


def test_a_chunk_that_ends_every_worker_is_one_line(workers, client, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ROUNDS", 1)

    def deadly(learning_rate):
        if multiprocessing.parent_process() is not None:  # in a worker
            os.kill(os.getpid(), signal.SIGKILL)
        return linear_problem(learning_rate)

    with pytest.raises(StoreError, match=r"every worker that computed chunk .* was lost"):
        make(tmp_path / "store", problem=deadly, client=client)
