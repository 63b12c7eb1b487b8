"""Image folders: sizes, modes, subfolders, draws, and files that cannot be read."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from jssl import memory
from jssl.data.folder import read_folder
from jssl.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for i in range(6):
        grey = np.full((8, 10), 40 * i, np.uint8)
        Image.fromarray(grey).save(tmp_path / f"{i}.png")
    return tmp_path


def test_images_keep_their_size_and_values_in_the_order_of_their_names(folder):
    seen = read_folder(folder)
    assert seen.x.shape == (6, 8, 10, 1)
    assert seen.x.dtype == np.float32
    assert not seen.resized
    np.testing.assert_allclose(seen.x[:, 0, 0, 0], np.arange(6) * 40 / 255, rtol=1e-6)
    assert seen.names[:2] == ("0.png", "1.png")


def test_colours_and_large_images_make_all_colour_and_one_size(folder):
    (folder / "more").mkdir()
    Image.fromarray(np.full((100, 90, 3), 255, np.uint8)).save(folder / "more" / "large.png")
    seen = read_folder(folder)
    assert (seen.x.shape, seen.resized) == ((7, 32, 32, 3), True)
    assert seen.x[seen.names.index("more/large.png")].min() == 1
    assert read_folder(folder, size=5).x.shape == (7, 5, 5, 3)


def test_unreadable_files_are_named_and_left_out(folder):
    (folder / "a.png").write_bytes(b"no image")
    whole = (folder / "3.png").read_bytes()
    (folder / "b.png").write_bytes(whole[:50])
    (folder / "notes.txt").write_text("not asked for")
    seen = read_folder(folder)
    assert len(seen.x) == 6
    assert [line.split(" (")[0] for line in seen.skipped] == [
        f"cannot read {folder / name}" for name in ("a.png", "b.png")
    ]


def test_a_draw_is_that_of_its_seed(folder):
    names = [read_folder(folder, 3, seed=seed).names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
    assert len(set(names[0])) == 3


def test_bad_folders_are_refused(folder):
    with pytest.raises(InputError, match="no folder"):
        read_folder(folder / "absent")
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="contains no images"):
        read_folder(folder / "empty")
    (folder / "empty" / "x.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 1 images"):
        read_folder(folder / "empty")


def test_images_that_need_more_than_the_memory_are_refused_before_they_are_read(
    folder, monkeypatch
):
    with pytest.raises(InputError, match=r"--size 100000000 needs .* GB of memory"):
        read_folder(folder, size=10**8)
    seen = []
    monkeypatch.setattr(memory, "free_memory", lambda: 8 * 80 + 27 * 80 * 3.0)
    monkeypatch.setattr("PIL.Image.Image.convert", lambda image, mode: seen.append(1) or image)
    with pytest.raises(InputError, match="with its images needs"):  # of three of six
        read_folder(folder)
    assert len(seen) == 4


def png(width, height):
    """A PNG whose header says its size, and which holds a few bytes."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)


@pytest.mark.parametrize(("width", "height"), [(10_000, 10_000), (100_000, 100_000)])
def test_an_image_that_claims_more_pixels_than_an_image_has_is_left_out(folder, width, height):
    (folder / "claims.png").write_bytes(png(width, height))
    tracemalloc.start()
    seen = read_folder(folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen.x) == 6
    (line,) = seen.skipped
    assert line.startswith(f"cannot read {folder / 'claims.png'} (")
    assert peak < 10_000_000
