"""Checkpoints of long chunks: whole or ignored, of any dtype, on any number of devices."""

import resource
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweep_problems import linear_problem

import jssl
from jssl.sweeps import StoreError
from jssl.sweeps.run import run_chunks
from jssl.sweeps.store import checkpoints

AXES = {"learning_rate": [0.01, 0.02, 0.03], "seed": 4}
STEPS = [0, 2, 5, 9, 14, 20, 21]


class Killed(BaseException):
    """What a process dies of in these tests; no handler catches it."""


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setitem(run_chunks.__kwdefaults__, "checkpoint_seconds", 0.0)


def observe(problem):
    """A few numbers, and enough of them that a checkpoint keeps them as they are."""

    def see(params, pairs):
        total = params["weight"].sum()
        return {"total": total, "many": jnp.sin(total * jnp.arange(300.0))}

    return see


def make(folder):
    options = {"record_steps": STEPS, "segment": 2, "observe": observe}
    return jssl.sweep(linear_problem, AXES, store=folder, **options)


def content(folder):
    files = (p for p in sorted(Path(folder).rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def killed(folder, after=2):
    """A sweep that dies after some checkpoints, all in one chunk."""
    with pytest.MonkeyPatch.context() as patch:
        write, count = checkpoints._write, []

        def dies(*arguments):
            write(*arguments)
            count.append(1)
            if len(count) == after:
                raise Killed

        patch.setattr(checkpoints, "_write", dies)
        with pytest.raises(Killed):
            make(folder)
    return folder / "jssl" / "checkpoints"


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The store of an uninterrupted sweep, and of one that died after two checkpoints."""
    from jssl.precision import float64

    folder = tmp_path_factory.mktemp("resume")
    with float64(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(run_chunks.__kwdefaults__, "checkpoint_seconds", 0.0)
        make(folder / "whole")
        killed(folder / "died")
    return folder / "whole", folder / "died"


def restored(monkeypatch):
    """Note from how many record points a sweep resumes."""
    found, read = [], checkpoints._read

    def noted(store, path):
        back = read(store, path)
        if back is not None:
            found.append(int(path.stem))
        return back

    monkeypatch.setattr(checkpoints, "_read", noted)
    return found


def test_a_sweep_resumes_from_its_last_checkpoint_to_the_same_bits(stores, tmp_path, monkeypatch):
    whole, died = stores
    shutil.copytree(died, tmp_path / "store")
    found = restored(monkeypatch)
    make(tmp_path / "store")
    assert found == [4]
    assert content(tmp_path / "store") == content(whole)


def test_a_flipped_byte_in_any_file_of_a_checkpoint_changes_no_result(
    stores, tmp_path, monkeypatch
):
    whole, died = stores
    files = [p for p in sorted((died / "jssl" / "checkpoints").rglob("*")) if p.is_file()]
    newest = [p for p in files if "000000004" in str(p)]
    assert [p.suffix for p in newest] == [".json", ".npz"]
    found = restored(monkeypatch)
    for file in newest:
        size = file.stat().st_size
        for place in (0, size // 3, size // 2, size - 1):
            folder = tmp_path / f"{file.suffix}{place}"
            shutil.copytree(died, folder)
            hurt = folder / file.relative_to(died)
            data = bytearray(hurt.read_bytes())
            data[place] ^= 16
            hurt.write_bytes(data)
            make(folder)
            assert content(folder) == content(whole), (file.name, place)
    assert 4 not in found


@pytest.mark.parametrize("text", ["", "[]", "{}", None])
def test_a_checkpoint_without_its_seal_is_ignored(stores, tmp_path, monkeypatch, text):
    whole, died = stores
    shutil.copytree(died, tmp_path / "store")
    (seal,) = (tmp_path / "store" / "jssl" / "checkpoints").rglob("000000004.json")
    seal.unlink()
    if text is not None:
        seal.write_text(text)
    found = restored(monkeypatch)
    make(tmp_path / "store")
    assert 4 not in found
    assert content(tmp_path / "store") == content(whole)


def states():
    """A state of 5 lanes, of which 3 are runs, in every dtype and without elements."""
    names = ["bool", "int4", "uint8", "int64", "float8_e4m3fn", "bfloat16", "float64", "complex128"]
    rows = np.array([1, 0, 1, 1, 1])
    leaves = {name: jnp.asarray(rows).astype(name) for name in names}
    keys = jax.random.split(jax.random.key(3), 3)
    return leaves | {"keys": keys[jnp.array([0, 1, 2, 0, 0])], "none": jnp.zeros((5, 0, 2))}


@pytest.mark.parametrize("lanes", [3, 4, 5, 8])
def test_a_state_of_any_dtype_is_restored_into_any_number_of_lanes(tmp_path, lanes):
    (tmp_path / "jssl").mkdir()
    saved = checkpoints.checkpoint_of(tmp_path, "chunk", 0.0, 3)
    state = states()
    parts = [{"x": np.arange(15.0).reshape(5, 3), "y.z": np.zeros((5, 1, 0), jnp.bfloat16)}]
    saved.save(2, state, parts * 2)
    start = {name: jnp.roll(leaf, 1, 0)[jnp.zeros(lanes, int)] for name, leaf in state.items()}
    points, back, kept = saved.restore(start)
    assert points == 2
    rows = [0, 1, 2, *[0] * (lanes - 3)]
    for name, leaf in state.items():
        assert back[name].dtype == leaf.dtype
        plain = jax.random.key_data if name == "keys" else np.asarray
        np.testing.assert_array_equal(plain(back[name]), np.asarray(plain(leaf))[rows])
    assert len(kept) == 2
    for part in kept:
        np.testing.assert_array_equal(part["x"], np.arange(9.0).reshape(3, 3))
        assert part["y.z"].shape == (3, 1, 0)
        assert part["y.z"].dtype == jnp.bfloat16


def test_a_checkpoint_that_replaces_a_damaged_one_is_kept(tmp_path):
    (tmp_path / "jssl").mkdir()
    saved = checkpoints.checkpoint_of(tmp_path, "chunk", 0.0, 3)
    saved.save(4, {"a": jnp.zeros(3)}, [])
    (entry,) = tmp_path.rglob("000000004.json")
    entry.write_text("damaged")
    saved.save(4, {"a": jnp.ones(3)}, [])
    points, state, _ = saved.restore({"a": jnp.zeros(3)})
    assert points == 4
    assert state["a"].tolist() == [1.0, 1.0, 1.0]
    saved.save(6, {"a": jnp.ones(3)}, [])
    assert sorted(p.name for p in entry.parent.iterdir()) == ["000000006.json", "000000006.npz"]


def test_the_state_of_another_program_is_ignored(tmp_path):
    (tmp_path / "jssl").mkdir()
    saved = checkpoints.checkpoint_of(tmp_path, "chunk", 0.0, 3)
    saved.save(2, {"a": jnp.ones((3, 2))}, [])
    others = [
        {"a": jnp.ones((3, 3))},
        {"a": jnp.ones((3, 2), int)},
        {"a": jnp.ones((3, 2)), "b": 0},
    ]
    for other in others:
        start = jax.tree.map(jnp.asarray, other)
        assert saved.restore(start) == (0, start, [])


def test_a_full_disk_in_a_checkpoint_is_one_line_and_keeps_the_last(stores, tmp_path, monkeypatch):
    whole, died = stores
    shutil.copytree(died, tmp_path / "store")
    real = checkpoints.np.savez

    def full(*arguments, **keywords):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, before[1]))  # no file above 200 bytes
        try:
            real(*arguments, **keywords)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(checkpoints.np, "savez", full)
    with pytest.raises(StoreError, match=r"cannot write into .*\(file too large\).* rerun to") as e:
        make(tmp_path / "store")
    assert "\n" not in str(e.value)
    monkeypatch.setattr(checkpoints.np, "savez", real)
    found = restored(monkeypatch)
    make(tmp_path / "store")
    assert found == [4]
    assert content(tmp_path / "store") == content(whole)


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def full(*_, **__):
        message = "No space left on device"
        raise OSError(28, message)

    monkeypatch.setattr(checkpoints, "write_entry", full)
    with pytest.raises(StoreError, match=r"no space left on device"):
        make(tmp_path / "store")
