"""Files that cannot be used, in every format: one line each, status 2, and the others are read."""

import json

import h5py
import numpy as np
import pyarrow
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
from safetensors.numpy import save_file

from jssl.commands import main as cli
from jssl.data.readers import READERS

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(60, 6)).astype(np.float32)
WORDS = np.array([["cat", "dog", "owl"]] * 60)


def write_npy(path, z):
    np.save(path, z)


def write_npz(path, z):
    np.savez(path, embeddings=z, labels=np.arange(len(z)) % 3)


def write_safetensors(path, z):
    save_file({"embeddings": np.ascontiguousarray(z)}, path)


def table(z):
    return pyarrow.table({"embedding": z.tolist()})


def write_parquet(path, z):
    pyarrow.parquet.write_table(table(z), path)


def write_feather(path, z):
    pyarrow.feather.write_feather(table(z), path)


def write_arrow(path, z):
    rows = table(z)
    with pyarrow.ipc.new_stream(path, rows.schema) as sink:
        sink.write_table(rows)


def write_hdf5(path, z):
    with h5py.File(path, "w") as file:
        file["embeddings"] = z.astype("S") if z.dtype.kind == "U" else z


def write_csv(path, z):
    head = ["filenames", *(f"embedding_{i}" for i in range(z.shape[1]))]
    lines = [[f"{i}.png", *map(str, row)] for i, row in enumerate(z)]
    path.write_text("".join(",".join(line) + "\n" for line in [head, *lines]))


def write_tsv(path, z):
    np.savetxt(path, z, delimiter="\t", fmt="%s")


def write_pt(path, z):
    torch = pytest.importorskip("torch")
    torch.save(z.tolist() if z.dtype.kind == "U" else torch.tensor(z), path)


WRITERS = {
    ".npy": write_npy,
    ".npz": write_npz,
    ".pt": write_pt,
    ".pth": write_pt,
    ".safetensors": write_safetensors,
    ".parquet": write_parquet,
    ".arrow": write_arrow,
    ".feather": write_feather,
    ".h5": write_hdf5,
    ".hdf5": write_hdf5,
    ".h5ad": write_hdf5,
    ".csv": write_csv,
    ".tsv": write_tsv,
}


def cut(path, z):
    WRITERS[path.suffix](path, z)
    whole = path.read_bytes()
    end = len(whole) * 2 // 3
    if path.suffix in (".csv", ".tsv"):  # within a row, before its last value
        separator = b"," if path.suffix == ".csv" else b"\t"
        end = whole.rindex(separator, 0, whole.rindex(b"\n", 0, end))
    path.write_bytes(whole[:end])


def rubbish(path, _):
    path.write_bytes(b"\x00\x01 no such format \xff" * 30)


DEFECTS = {
    "cut": (cut, Z, ""),
    "empty": (lambda path, _: path.write_bytes(b""), Z, ""),
    "rubbish": (rubbish, Z, ""),
    "words": (lambda path, z: WRITERS[path.suffix](path, z), WORDS, ""),
    "narrow": (lambda path, z: WRITERS[path.suffix](path, z), Z[:, :4], "4 columns and"),
}
"""Defect -> how it is written, of which rows, and words of the line."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def status_of(*arguments):
    return cli.run(["diagnose", *map(str, arguments), "--out", "out"])


def test_every_readable_format_is_tried():
    assert list(WRITERS) == list(READERS)


@pytest.mark.parametrize("suffix", WRITERS)
def test_each_file_that_cannot_be_used_is_one_line_and_the_others_are_read(folder, capsys, suffix):
    defects = {n: d for n, d in DEFECTS.items() if (n, suffix) != ("words", ".safetensors")}
    for name in ("a", "z"):
        WRITERS[suffix](folder / f"{name}{suffix}", Z)
    for name, (write, rows, _) in defects.items():
        write(folder / f"{name}{suffix}", rows)
    (folder / "foreign.mat").write_bytes(b"MATLAB 5.0")
    names = ["a", *defects, "absent", "z"]
    assert status_of(*(f"{name}{suffix}" for name in names), "foreign.mat") == 2
    seen = capsys.readouterr()
    assert "120 rows in 6 dimensions" in seen.out
    lines = seen.err.splitlines()
    assert len(lines) == len(defects) + 2
    assert all(line.startswith("jssl: ") for line in lines)
    for name, line in zip([*defects, "absent"], lines[:-1], strict=True):
        assert f"{name}{suffix}" in line
        assert (defects[name][2] if name in defects else "no file") in line
    assert "foreign.mat: the readable files are .npy, .npz, .pt" in lines[-1]
    caveats = json.loads((folder / "out/report.json").read_text())["caveats"]
    assert sum(line.endswith("(left out)") for line in caveats) == len(lines)


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_alone_that_cannot_be_used_is_one_line_and_nothing_is_written(
    folder, capsys, suffix
):
    WRITERS[suffix](folder / f"z{suffix}", Z)
    WRITERS[suffix](folder / f"one{suffix}", Z[:1])
    cases = [("one", [], "n >= 2"), ("z", ["--key", "absent"], "has no 'absent'; it holds")]
    for name, (write, rows, _) in DEFECTS.items():
        if (name, suffix) not in (("words", ".safetensors"), ("narrow", suffix)):
            write(folder / f"{name}{suffix}", rows)
            cases.append((name, [], f"{name}{suffix}"))
    for name, options, says in cases:
        assert status_of(f"{name}{suffix}", *options) == 2
        seen = capsys.readouterr()
        assert seen.out == ""
        assert seen.err.count("\n") == 1
        assert seen.err.startswith("jssl: ")
        assert says in seen.err
        assert not (folder / "out").exists()


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_text_without_a_last_line_break_is_whole_where_its_last_row_is(folder, capsys, suffix):
    path = folder / f"z{suffix}"
    WRITERS[suffix](path, Z)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert status_of(path) == 0
    capsys.readouterr()
    ends = path.read_bytes()
    separator = b"," if suffix == ".csv" else b"\t"
    for end in (ends.rindex(separator), ends.rindex(separator) + 1):
        path.write_bytes(ends[:end])
        assert status_of(path, "--overwrite") == 2
        assert "ends within a row, after" in capsys.readouterr().err
