"""Files that are not what they claim: one line each, and no memory taken on their word."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from jssl import memory
from jssl.commands import main as cli
from jssl.data.archives import load_arrays, read_headers
from jssl.errors import InputError

Z = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


def npy(shape):
    """The bytes of Z under a header that says another shape."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head = text.encode().ljust(245) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + Z.tobytes()


def archive(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return buffer.getvalue()


def pair(shape="(60, 6)"):
    return archive({"first.npy": npy(shape), "second.npy": npy("(60, 6)")})


def patched(content, local, central, value):
    """Overwrite a field of every member, in its own header and in the directory at the end."""
    held = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = held.find(mark)
        while at >= 0:
            held[at + offset : at + offset + 2] = struct.pack("<H", value)
            at = held.find(mark, at + 4)
    return bytes(held)


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


FILES = {
    "encrypted.npz": (patched(pair(), 6, 8, 1), "array 'first' is encrypted"),
    "method.npz": (patched(pair(), 8, 10, 93), "compressed by method 93, which is not known"),
    "flipped.npz": (flipped(pair(), 900), "array 'first' is damaged: Bad CRC-32"),
    "cut.npz": (pair()[:-30], "it is damaged"),
    "directory.npz": (pair()[:-22] + b"\0" * 22, "it is damaged"),
    "large.npz": (pair("(10000000000000, 6)"), "claims 240000000000000 bytes and has 1440"),
    "small.npz": (pair("(59, 6)"), "claims 1416 bytes and has 1440"),
    "negative.npz": (pair("(-60, 6)"), "has the shape (-60, 6)"),
    "text.npz": (pair("'abc'"), "the header of array 'first' is not that of an array"),
    "torch.npz": (
        archive({"archive/data.pkl": b"x", "archive/data/0": b"y"}),
        "it is a PyTorch file); load it with torch.load",
    ),
    "other.npz": (archive({"readme.txt": b"x"}), "it contains 'readme.txt', which is not an array"),
    "nothing.npz": (b"", "it is empty"),
    "hello.npz": (b"hello", "it is neither a .npy nor an .npz file"),
}
HEADERS = {
    "large.npy": ("(10000000000000, 6)", "1440 bytes of data, not 240000000000000"),
    "negative.npy": ("(-60, 6)", "its header has the shape (-60, 6)"),
    "text.npy": ("'abc'", "its header is not that of an array"),
    "fraction.npy": ("(1.5, 6)", "its header is not that of an array"),
    "nested.npy": ("(" * 150, "its header is not that of an array"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["diagnose", "predict --pairs", "predict --images"])
def test_an_archive_that_is_not_what_it_claims_is_one_line(
    tmp_path, monkeypatch, capsys, name, command
):
    monkeypatch.chdir(tmp_path)
    content, says = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert cli.run([*command.split(), name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jssl: cannot read {name} (")
    assert says in line
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("command", ["diagnose", "predict --pairs"])
def test_a_header_that_is_not_a_shape_is_one_line(tmp_path, monkeypatch, capsys, name, command):
    monkeypatch.chdir(tmp_path)
    shape, says = HEADERS[name]
    (tmp_path / name).write_bytes(npy(shape))
    assert cli.run([*command.split(), name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jssl: cannot read {name} (")
    assert says in line


def test_an_archive_larger_than_memory_is_refused_before_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "zeros.npz"
    size = 50_000_000
    np.savez_compressed(path, z=np.zeros(size, np.uint8))
    assert path.stat().st_size < size / 500
    monkeypatch.setattr(memory, "free_memory", lambda: size - 1.0)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"needs 0.05 GB of memory and 0.05 GB are free; save"):
        load_arrays(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 20
    monkeypatch.setattr(memory, "free_memory", lambda: float(size))
    assert load_arrays(path)["z"].shape == (size,)


def test_a_npy_larger_than_memory_is_mapped(tmp_path, monkeypatch):
    np.save(tmp_path / "z.npy", Z)
    monkeypatch.setattr(memory, "free_memory", lambda: 1.0)
    mapped = load_arrays(tmp_path / "z.npy")["z"]
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, Z)


def test_files_are_told_by_their_content_and_read_as_they_were_written(tmp_path):
    order = np.asfortranarray(Z)
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez_compressed(file, a=order, b=np.arange(3), c=np.array(["x"]), d=np.zeros((0, 4)))
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, order)
    found = load_arrays(tmp_path / "archive.npy")
    assert {name: (h.shape, h.dtype) for name, h in read_headers(tmp_path / "archive.npy").items()}
    np.testing.assert_array_equal(found["a"], Z)
    assert [found[name].tolist() for name in "bcd"] == [[0, 1, 2], ["x"], []]
    np.testing.assert_array_equal(load_arrays(tmp_path / "single.npz")["single"], Z)
    np.save(tmp_path / "empty.npy", np.zeros((0, 4)))
    assert load_arrays(tmp_path / "empty.npy")["empty"].shape == (0, 4)
