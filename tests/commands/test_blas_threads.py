"""One thread of BLAS where a diagnosis is little work, by the headers of its files."""

import numpy as np
import pytest

from jssl.commands import blas_threads
from jssl.commands.blas_threads import is_small
from jssl.diagnosis import diagnosis


def header_only(path, shape):
    """Write a .npy without its data."""
    with path.open("wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize(
    ("shape", "exact", "small"),
    [
        ((2_000, 128), False, True),
        ((50_000, 512), False, True),
        ((2_000_000, 64), False, True),
        ((20_000, 100, 64), False, True),
        ((50_000, 512), True, False),
        ((1_000_000, 512), False, False),
        ((2_000, 128), True, True),
    ],
)
def test_the_shape_decides_whether_one_thread_is_used(tmp_path, shape, exact, small):
    header_only(tmp_path / "z.npy", shape)
    assert is_small([tmp_path / "z.npy"], exact=exact) is small
    assert is_small([tmp_path], exact=exact) is small
    assert is_small([f"{tmp_path}/*.npy"], exact=exact) is small


def test_files_of_one_set_count_together(tmp_path):
    for i in range(40):
        header_only(tmp_path / f"{i}.npy", (50_000, 256))
    assert is_small([tmp_path / "0.npy"])
    assert not is_small([tmp_path])
    assert not is_small([tmp_path / f"{i}.npy" for i in range(40)])


def test_other_formats_count_by_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(blas_threads, "SMALL_BYTES", 1000)
    for content, small in ((b"x" * 1000, True), (b"x" * 1001, False)):
        (tmp_path / "z.h5").write_bytes(content)
        assert is_small([tmp_path / "z.h5"]) is small


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'shape': (", b"\x93NUMPY" + b"\xff" * 99],
)
def test_damaged_files_are_left_to_their_reader(tmp_path, content):
    (tmp_path / "z.npy").write_bytes(content)
    assert is_small([tmp_path / "z.npy", tmp_path / "absent.npy"])


def test_the_sample_is_that_of_the_diagnosis():
    assert blas_threads._SAMPLE == diagnosis.SAMPLE
