"""A store that is not as it was written: one line says so, or it is computed again."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from sweep_problems import linear_problem

import jssl
from jssl.commands import main as cli
from jssl.commands import sweep as command
from jssl.errors import InputError
from jssl.sweeps import open_dataset, store
from jssl.sweeps.store import integrity

AXES = {"learning_rate": [0.01], "seed": 2}
STUDY = """
store = "{store}"
record = [0, 2]
precision = "float64"
[problem]
make = "sweep_problems:linear_problem"
[axes]
learning_rate = [0.01]
seed = 2
"""
CHUNK = "0000-00000-000000"
ENTRY = f"jssl/journal/{CHUNK}.json"


def content(folder):
    files = (p for p in sorted(Path(folder).rglob("*")) if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished store of one chunk, and its study."""
    folder = tmp_path_factory.mktemp("integrity")
    (folder / "study.toml").write_text(STUDY.format(store=folder / "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "use_all_cores", lambda devices: devices)
        assert cli.run(["sweep", str(folder / "study.toml")]) == 0
    return folder / "store"


@pytest.fixture
def damaged(whole, tmp_path, monkeypatch, capsys):
    """A copy of the store to damage, and what the two commands then say."""
    monkeypatch.setattr(command, "use_all_cores", lambda devices: devices)
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    (tmp_path / "study.toml").write_text(STUDY.format(store=folder))
    capsys.readouterr()

    def says(*arguments):
        status = cli.run(list(arguments))
        return status, capsys.readouterr().err.splitlines()

    def report():
        return says("report", str(folder), "--out", str(tmp_path / "report"), "--overwrite")

    return folder, report, lambda: says("sweep", str(tmp_path / "study.toml"))


def flipped(path, place, bit=1):
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= bit
    path.write_bytes(data)


def test_no_flipped_byte_of_a_finished_store_goes_unnoticed(whole, tmp_path, monkeypatch):
    folder = tmp_path / "store"
    shutil.copytree(whole, folder)
    recomputed = set()
    real, file = integrity.checksum, ""
    others = {folder / name: real(folder / name) for name in content(folder)}
    # Files that are not flipped are not read again: twenty thousand bytes, in a few seconds.
    monkeypatch.setattr(
        integrity, "checksum", lambda path: real(path) if path == folder / file else others[path]
    )
    for file, data in content(folder).items():
        with (folder / file).open("r+b", buffering=0) as stored:
            for place, byte in enumerate(data):
                os.pwrite(stored.fileno(), bytes([byte ^ (1 << place % 8)]), place)
                try:
                    integrity.check_made(folder)  # the report and a resumed sweep begin with it
                except InputError:
                    pass
                else:
                    recomputed.add(file)
                    assert integrity.finished_chunks(folder) == {}, (file, place)
                    with pytest.raises(InputError, match="1 of 1 chunks"):
                        integrity.check_whole(folder)
                os.pwrite(stored.fileno(), bytes([byte]), place)
    monkeypatch.undo()
    integrity.check_whole(folder)
    assert content(folder) == content(whole)
    names = ("loss", "eigenvalues", "t", "first_bad_step")
    assert recomputed == {ENTRY, *(f for f in content(whole) if f.startswith(names) and "/c/" in f)}


def test_a_flipped_byte_in_any_file_is_one_line_or_computed_again(whole, damaged):
    folder, report, sweep = damaged
    before = content(folder)
    for file, data in before.items():
        flipped(folder / file, len(data) // 3)
        status, lines = report()
        assert (status, len(lines)) == (2, 1), (file, lines)
        status, lines = sweep()
        if status == 0:
            assert content(folder) == before, file
        else:
            assert (status, len(lines)) == (2, 1), (file, lines)
            assert f"is damaged: {file} was altered; restore it" in lines[0]
            (folder / file).write_bytes(data)
    assert not (folder.parent / "report").exists()


def test_an_altered_label_or_plan_is_refused(damaged):
    folder, _, sweep = damaged
    plan = folder / "jssl" / "zarr.json"
    text = plan.read_text()
    assert '"seed_block": 2' in text
    plan.write_text(text.replace('"seed_block": 2', '"seed_block": 4'))
    status, (line,) = sweep()
    assert status == 2
    assert "jssl/zarr.json was altered" in line
    plan.write_text(text)
    rate = np.frombuffer((folder / "learning_rate" / "c" / "0").read_bytes(), np.uint8)
    assert rate.size > 4
    flipped(folder / "learning_rate" / "c" / "0", -5)  # of the value; the CRC-32C is behind it
    with pytest.raises(InputError, match="learning_rate/c/0 was altered"):
        open_dataset(folder)


@pytest.mark.parametrize(
    "file", ["learning_rate/c/0", "seed/c/0", "step/c/0", "loss/c/0/0/0", "first_bad_step/c/0/0"]
)
def test_plain_xarray_notices_a_flipped_byte_in_a_chunk(damaged, file):
    folder, _, _ = damaged
    flipped(folder / file, 0, 4)
    with pytest.raises(ValueError, match="checksum do not match"):
        xr.open_zarr(str(folder), chunks=None).load()


MADE = ["zarr.json", "jssl/zarr.json", "loss/zarr.json", "learning_rate/zarr.json"]
MADE += ["jssl/checksums.json"]


@pytest.mark.parametrize("file", MADE)
@pytest.mark.parametrize("how", ["emptied", "replaced", "missing", "a folder"])
def test_lost_or_altered_metadata_is_one_line(damaged, file, how):
    folder, report, sweep = damaged
    path = folder / file
    path.unlink()
    if how == "a folder":
        path.mkdir()
    elif how != "missing":
        path.write_text("" if how == "emptied" else '{"zarr_format": 3, "node_type": "group"}')
    what = "altered" if how in ("emptied", "replaced") else "missing"
    for status, lines in (report(), sweep()):
        assert status == 2
        (line,) = lines
        assert f"is damaged: {file} " in line
        assert what in line


@pytest.mark.parametrize("name", ["jssl/journal", "loss", "learning_rate", "seed"])
def test_a_lost_folder_is_one_line(damaged, name):
    folder, report, sweep = damaged
    shutil.rmtree(folder / name)
    for status, lines in (report(), sweep()):
        assert status == 2
        (line,) = lines
        assert f"is damaged: {name}" in line
        assert "is missing; restore it from a copy" in line


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{}", '{"files": []}', '{"files": 1}'])
def test_a_journal_entry_of_a_wrong_type_is_a_damaged_chunk(damaged, whole, text):
    folder, report, sweep = damaged
    (folder / ENTRY).write_text(text)
    status, (line,) = report()
    assert status == 2
    assert "1 of 1 chunks" in line
    assert sweep()[0] == 0
    assert (folder / ENTRY).read_bytes() == (whole / ENTRY).read_bytes()


def test_other_files_in_the_journal_are_no_entries(damaged):
    folder, report, _ = damaged
    (folder / ENTRY).with_name("notes.json").write_text("{}")
    assert report()[0] == 0
    assert integrity.finished_names(folder) == {CHUNK}


def test_a_chunk_that_was_written_and_is_not_in_the_journal_is_checked_too(damaged, whole):
    folder, report, sweep = damaged
    (folder / ENTRY).unlink()
    assert report()[0] == 0
    flipped(folder / "loss" / "c" / "0" / "0" / "0", 3)
    status, (line,) = report()
    assert status == 2
    assert "an unfinished chunk" in line
    assert "(loss/c/0/0/0); rerun the same sweep" in line
    assert sweep()[0] == 0
    assert content(folder) == content(whole)


@contextlib.contextmanager
def without_rights():
    """Be a user to whom file modes apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def owned(whole):
    """A copy of the store in a folder of its own, where another user gets to it."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "parent" / "store"
        shutil.copytree(whole, folder)
        os.chmod(parent, 0o755)
        if os.geteuid() == 0:
            for path in (folder.parent, folder, *folder.rglob("*")):
                os.chown(path, 65534, 65534)
        open_dataset(folder)  # imports everything while it can be read
        yield folder
        for path in Path(parent, "parent"), folder, folder / "jssl", folder / "jssl" / "journal":
            path.chmod(0o755)


@pytest.mark.parametrize("place", ["..", ".", "jssl", "jssl/journal", "loss", "zarr.json"])
def test_a_store_that_cannot_be_read_is_one_line(owned, place):
    closed = owned / place
    mode = closed.stat().st_mode
    closed.chmod(0)
    try:
        with without_rights():
            for read in (open_dataset, store.read_plan, lambda f: jssl.sweep(
                linear_problem, AXES, record_steps=[0, 2], store=f
            )):  # fmt: skip
                with pytest.raises(InputError, match=r"cannot \w+ the store .*permission denied"):
                    read(owned)
            if place == "..":
                with pytest.raises(InputError, match=r"cannot read .*permission denied"):
                    store.is_free(owned.parent / "another")
    finally:
        closed.chmod(mode)
