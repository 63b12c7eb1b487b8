"""A sweep survives: crashes at any write, corrupt files, other processes, full and lost disks."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweep_problems import linear_problem

import jssl
from jssl.errors import InputError
from jssl.sweeps import StoreError, store
from jssl.sweeps.store import integrity, making, results

STEPS = [0, 2, 10]
AXES = {"learning_rate": [0.01, 0.02, 0.03], "seed": 8}
PIECES = {"seed_block": 1, "chunk_seconds": 1e-9}
CHUNKS = 8


class Killed(BaseException):
    """What a process dies of in these tests; no handler catches it."""


def make(folder, **options):
    given = {"axes": AXES, "record_steps": STEPS, "store": folder, **PIECES, **options}
    return jssl.sweep(linear_problem, given.pop("axes"), **given)


def content(folder):
    """All files of the result."""
    files = (p for p in sorted(Path(folder).rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The store of an uninterrupted sweep in float64."""
    from jssl.precision import float64

    folder = tmp_path_factory.mktemp("whole") / "store"
    with float64():
        make(folder)
    assert len(store.finished_names(folder)) == CHUNKS
    return folder


def test_plain_xarray_opens_the_store(whole):
    opened = xr.open_zarr(str(whole))
    assert opened.eigenvalues.dims == ("learning_rate", "seed", "step", "mode")
    np.testing.assert_array_equal(opened.eigenvalues, make(None).eigenvalues)
    assert opened.attrs["settings"]["axes"]["seed"] == 8


def test_killed_at_any_write_a_sweep_goes_on_to_the_same_bits(whole, tmp_path, monkeypatch):
    from zarr.storage import _local

    expected = content(whole)
    write, put = integrity.write_entry, _local._put
    choose = random.Random(0)
    for attempt, last in enumerate(choose.sample(range(1, 60), 20)):
        count = 0

        def dies(*arguments, real, last=last, **keywords):
            nonlocal count
            count += 1
            if count == last:
                if choose.random() < 0.5:  # half a file is left behind
                    path = arguments[0]
                    half = f"{path.name}.0.partial" if real is put else f".{path.name}"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    (path.parent / half).write_bytes(b"half")
                raise Killed
            return real(*arguments, **keywords)

        monkeypatch.setattr(results, "write_entry", lambda *a, **k: dies(*a, real=write, **k))
        monkeypatch.setattr(_local, "_put", lambda *a, **k: dies(*a, real=put, **k))
        folder = tmp_path / str(attempt)
        with pytest.raises(Killed):
            make(folder)
        monkeypatch.setattr(results, "write_entry", write)
        monkeypatch.setattr(_local, "_put", put)
        make(folder)
        assert content(folder) == expected


def test_what_is_finished_is_never_run_again(whole, monkeypatch):
    from jssl.sweeps import run

    def never(*_):
        message = "a program was made"
        raise AssertionError(message)

    monkeypatch.setattr(run, "calls", never)
    make(whole)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_corrupt_chunk_is_found_and_computed_again(whole, tmp_path, damage):
    folder = tmp_path / "store"
    make(folder)
    file = folder / "eigenvalues" / "c" / "0" / "2" / "0" / "0"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "flip": lambda: file.write_bytes(data),
        "cut": lambda: file.write_bytes(data[:-3]),
        "remove": file.unlink,
    }[damage]()
    done = []
    make(folder, progress=done.append)
    assert done[0].done == 21  # of 24 runs, those of the other seven chunks
    assert content(folder) == content(whole)


def test_another_configuration_is_refused_with_the_difference(whole):
    before = content(whole)
    for options, says in (
        ({"axes": {**AXES, "seed": 7}}, "axes.seed: 8 in the store, 7 asked"),
        ({"seed": 1}, "seed: 0 in the store, 1 asked"),
        ({"record_steps": [0, 2]}, r"record_steps: \[0, 2, 10\] in the store, \[0, 2\] asked"),
    ):
        with pytest.raises(InputError, match=says):
            make(whole, **options)
    assert content(whole) == before


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not the store of a sweep"):
        make(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_bad_input_writes_nothing(tmp_path):
    with pytest.raises(InputError):
        make(tmp_path / "new" / "store", axes={"rate": [0.1]})
    with pytest.raises(InputError):
        make(tmp_path / "new" / "store", memory=10.0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot write the store"):
        make("/dev/null/store")

    def read_only(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(making.tempfile, "mkdtemp", read_only)
    with pytest.raises(InputError, match="permission denied"):
        make(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_became_read_only_keeps_what_it_has(whole, tmp_path, monkeypatch):
    folder = tmp_path / "store"
    make(folder, shard=(0, 2))

    real = Path.open

    def read_only(path, mode="r", **keywords):
        if mode != "r" and mode != "rb":
            raise PermissionError(errno.EROFS, "Read-only file system")
        return real(path, mode, **keywords)

    monkeypatch.setattr(Path, "open", read_only)
    with pytest.raises(StoreError, match=r"read-only file system.*rerun to resume"):
        make(folder, shard=(1, 2))
    monkeypatch.undo()
    make(folder)
    assert content(folder) == content(whole)


def test_a_full_disk_keeps_what_is_finished_and_says_what_to_do(whole, tmp_path, monkeypatch):
    from zarr.storage import _local

    folder = tmp_path / "store"
    put, count = _local._put, 0

    def full(*arguments, **keywords):
        nonlocal count
        count += 1
        if count > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(*arguments, **keywords)

    monkeypatch.setattr(_local, "_put", full)
    with pytest.raises(StoreError, match=r"no space left on device.*finished chunks are kept"):
        make(folder)
    monkeypatch.undo()
    assert 0 < len(store.finished_names(folder)) < CHUNKS
    make(folder)
    assert content(folder) == content(whole)


def test_parts_meet_in_one_store(whole, tmp_path):
    folder = tmp_path / "store"
    for i in (2, 0, 1):
        make(folder, shard=(i, 3))
    assert content(folder) == content(whole)


def test_two_processes_that_make_one_store_share_it(whole, tmp_path, monkeypatch):
    folder = tmp_path / "store"
    real = making.fill

    def slow(*arguments):
        monkeypatch.setattr(making, "fill", real)
        make(folder)  # the other process is quicker
        real(*arguments)

    monkeypatch.setattr(making, "fill", slow)
    make(folder)
    assert content(folder) == content(whole)


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_long_chunk_goes_on_from_its_saved_state_to_the_same_bits(
    tmp_path, monkeypatch, killed_after
):
    from jssl.sweeps.run import run_chunks
    from jssl.sweeps.store import checkpoints

    monkeypatch.setattr(run_chunks, "__kwdefaults__", {
        **run_chunks.__kwdefaults__, "checkpoint_seconds": 0.0
    })  # fmt: skip
    options = {"record_steps": [0, 2, 5, 9, 14, 20, 21], "segment": 2, "seed_block": 8}
    make(tmp_path / "whole", **options)
    write, calls = checkpoints._write, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) > killed_after:
            raise Killed
        write(*arguments)

    monkeypatch.setattr(checkpoints, "_write", dies)
    with pytest.raises(Killed):
        make(tmp_path / "store", **options)
    monkeypatch.setattr(checkpoints, "_write", write)
    restored = []
    real = checkpoints._typed
    monkeypatch.setattr(checkpoints, "_typed", lambda *a: restored.append(1) or real(*a))
    make(tmp_path / "store", **options)
    assert restored
    assert content(tmp_path / "store") == content(tmp_path / "whole")
    whole = make(None, record_steps=options["record_steps"])
    np.testing.assert_allclose(
        xr.open_zarr(str(tmp_path / "store")).eigenvalues, whole.eigenvalues, rtol=1e-12
    )


SCRIPT = """
import sys, jssl, jax
from sweep_problems import linear_problem
axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": int(sys.argv[2])}
jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10], store=sys.argv[1], seed_block=1,
           chunk_seconds=1e-9)
"""


def start(folder, seeds):
    root = Path(__file__).parents[2]
    settings = {
        "PYTHONPATH": f"{root}{os.pathsep}{Path(__file__).parent}",
        "JAX_COMPILATION_CACHE_DIR": str(root / ".jax_cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, "-c", SCRIPT, str(folder), str(seeds)]
    return subprocess.Popen(command, env=os.environ | settings, cwd=root)


def kill_after(process, folder, chunks, rest):
    """Kill the process once some chunks are finished, after a rest; return whether it lived."""
    while process.poll() is None:
        if len(store.finished_names(folder)) >= chunks:
            time.sleep(rest)
            break
        time.sleep(0.002)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


@pytest.mark.float32
def test_a_killed_process_leaves_a_store_that_goes_on_to_the_same_bits(tmp_path):
    seeds = 40
    assert kill_after(start(tmp_path / "store", seeds), tmp_path / "store", 5, 0.003)
    assert 5 <= len(store.finished_names(tmp_path / "store")) < seeds
    make(tmp_path / "store", axes={**AXES, "seed": seeds})
    make(tmp_path / "whole", axes={**AXES, "seed": seeds})
    assert content(tmp_path / "store") == content(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.float32
def test_killed_twenty_times_at_random_a_sweep_ends_with_the_same_bits(tmp_path):
    seeds, choose, folder = 600, random.Random(1), tmp_path / "store"
    for _ in range(20):
        before = len(store.finished_names(folder))
        process = start(folder, seeds)
        assert kill_after(process, folder, before + choose.randint(1, 30), 0.02 * choose.random())
    make(folder, axes={**AXES, "seed": seeds})
    make(tmp_path / "whole", axes={**AXES, "seed": seeds})
    assert content(folder) == content(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.float32
def test_two_processes_at_once_share_one_store(tmp_path):
    both = [start(tmp_path / "store", 200) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    make(tmp_path / "whole", axes={**AXES, "seed": 200})
    assert content(tmp_path / "store") == content(tmp_path / "whole")


def test_the_journal_names_every_file_with_its_checksum(whole):
    entry = json.loads((whole / "jssl" / "journal" / "0000-00000-000000.json").read_text())
    assert set(entry) == {"files", "name", "runs", "diverged", "sha256"}
    assert "eigenvalues/c/0/0/0/0" in entry["files"]
