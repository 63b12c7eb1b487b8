"""Image folders: sizes, modes, subfolders, draws, and files that cannot be read."""

import numpy as np
import pytest
from PIL import Image

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
    with pytest.raises(InputError, match="holds no images"):
        read_folder(folder / "empty")
    (folder / "empty" / "x.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of the 1 images"):
        read_folder(folder / "empty")
