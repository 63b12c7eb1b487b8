"""STL-10's binary files, small ones of the same format."""

import numpy as np
import pytest

from jssl.data import images
from jssl.data.formats import read_stl10
from jssl.errors import InputError

SIDE = 96


def _files(folder, n=3, split="train", labels=True):
    """Write planes of red, green, blue, column by column; return pixels (n, row, column, 3)."""
    folder.mkdir(parents=True, exist_ok=True)
    x = np.random.default_rng(n).integers(0, 256, (n, SIDE, SIDE, 3), np.uint8)
    with (folder / f"{split}_X.bin").open("wb") as file:
        for image in x:
            for colour in range(3):
                file.write(image[:, :, colour].tobytes(order="F"))
    if labels:
        (folder / f"{split}_y.bin").write_bytes(bytes(range(1, n + 1)))
    return x


@pytest.mark.parametrize("sub", ["stl10", "stl10/stl10_binary", "stl10_binary", ""])
def test_stl10_is_found_and_read_in_its_own_order(tmp_path, monkeypatch, sub):
    x = _files(tmp_path / sub)
    monkeypatch.setenv("JSSL_DATA", str(tmp_path))
    assert images.available()["stl10"] == tmp_path / sub
    found = images.load("stl10")
    np.testing.assert_array_equal(found.x, x.astype(np.float32) / 255)
    np.testing.assert_array_equal(found.labels, [0, 1, 2])


def test_unlabeled_images_have_no_labels_and_can_be_read_in_part(tmp_path):
    x = _files(tmp_path, 4, "unlabeled", labels=False)
    found = images.stl10(tmp_path, "unlabeled", count=2)
    np.testing.assert_array_equal(found.x, x[:2].astype(np.float32) / 255)
    assert found.labels is None


def test_missing_and_damaged_files_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"no file .*train_X.bin"):
        read_stl10(tmp_path, "train")
    _files(tmp_path, labels=False)
    with pytest.raises(InputError, match=r"train_y.bin lacks labels 1 ... 10 for 3 images"):
        read_stl10(tmp_path, "train")
    (tmp_path / "train_X.bin").write_bytes(b"0" * 100)
    with pytest.raises(InputError, match="100 bytes, not a whole number of images"):
        read_stl10(tmp_path, "train")
    with pytest.raises(InputError, match="unknown split 'val'"):
        read_stl10(tmp_path, "val")
