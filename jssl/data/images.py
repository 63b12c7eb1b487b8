"""Images from disk, never the network: digits, Fashion-MNIST, CIFAR-10, STL-10, any .npz.

Each reader returns `Images(x, labels)`, NumPy arrays on the host, x float32 in [0, 1] of shape
(n, h, w, c). Data sets are looked for in the folder that the environment variable JSSL_DATA names,
in its subfolder of the data set's name, and where Linux distributions install them.
"""

import importlib.util
import os
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from jssl.data.archives import read_npz
from jssl.data.checks import require_count, require_name
from jssl.data.formats import read_cifar10, read_idx, read_stl10
from jssl.errors import InputError
from jssl.memory import require_memory
from jssl.paths import expanded
from jssl.single_use import compile_cheaply
from jssl.types import Array

_SYSTEM = pathlib.Path("/usr/share/datasets")
_FOLDERS = {
    "cifar10": ("cifar10", "cifar-10"),
    "fashion_mnist": ("fashion-mnist",),
    "stl10": ("stl10", "stl10_binary"),
}
_IDX_PREFIX = {"train": "train", "test": "t10k"}
_CIFAR10_NAMES = (
    "cifar-10-batches-py",
    "cifar-10-batches-bin",
    "cifar-10-python.tar.gz",
    "cifar-10-binary.tar.gz",
)


class Images(NamedTuple):
    """Images on the host, with their labels where there are any.

    Attributes:
        x: (n, h, w, c) float32 in [0, 1].
        labels: (n,) integers, or None.
    """

    x: np.ndarray
    labels: np.ndarray | None


def digits() -> Images:
    """Return the 1,797 handwritten digits of 8x8 pixels that come with scikit-learn.

    Example:
        >>> digits().x.shape
        (1797, 8, 8, 1)

    The file is read directly, without importing scikit-learn, which takes seconds.

    Returns:
        x (1797, 8, 8, 1), the 17 grey levels divided by 16; labels 0 ... 9.

    Raises:
        InputError: where scikit-learn is not installed.
    """
    path = find("digits")
    if path is None:
        message = "the digits come with scikit-learn; install scikit-learn"
        raise InputError(message)
    table = np.loadtxt(path, delimiter=",", dtype=np.int64)
    return Images((table[:, :-1].astype(np.float32) / 16).reshape(-1, 8, 8, 1), table[:, -1])


def fashion_mnist(split: str = "train", path: str | pathlib.Path | None = None) -> Images:
    """Return Fashion-MNIST (or MNIST, whose files have the same names) from its IDX files.

    Args:
        split: "train" (60,000) or "test" (10,000).
        path: folder of the files, gzipped or plain; None to look for it.

    Returns:
        x (n, 28, 28, 1) and labels 0 ... 9.

    Raises:
        InputError: where files are missing or damaged.
    """
    require_name("split", split, _IDX_PREFIX)
    folder = _locate("fashion_mnist", path)
    x = read_idx(_idx_file(folder, f"{_IDX_PREFIX[split]}-images-idx3-ubyte"))
    labels = read_idx(_idx_file(folder, f"{_IDX_PREFIX[split]}-labels-idx1-ubyte"))
    return _images(folder, x, labels)


def cifar10(path: str | pathlib.Path | None = None, split: str = "train") -> Images:
    """Return CIFAR-10 from its pickled or binary batches, in a folder or in the published archive.

    Args:
        path: the folder of batches or the .tar.gz; None to look for it.
        split: "train" (50,000) or "test" (10,000).

    Returns:
        x (n, 32, 32, 3) and labels 0 ... 9.

    Raises:
        InputError: where batches are missing or damaged.
    """
    path = _locate("cifar10", path)
    return _images(path, *read_cifar10(path, split))


def stl10(
    path: str | pathlib.Path | None = None, split: str = "train", count: int | None = None
) -> Images:
    """Return STL-10 from its binary files.

    Args:
        path: folder of the .bin files, unpacked; None to look for it.
        split: "train" (5,000), "test" (8,000) or "unlabeled" (100,000).
        count: number of images, from the first on; None for all (the unlabeled ones are 11 GB as
            float32).

    Returns:
        x (n, 96, 96, 3), and labels 0 ... 9, or None for "unlabeled".

    Raises:
        InputError: where files are missing or damaged.
    """
    path = _locate("stl10", path)
    return _images(path, *read_stl10(path, split, count))


def npz(path: str | pathlib.Path, images: str | None = None, labels: str | None = None) -> Images:
    """Return images from an .npz file.

    Integers are divided by 255; so are floats, unless they lie in [0, 1] already.

    Args:
        path: the file.
        images: name of the array (n, h, w) or (n, h, w, c); None for the only one of 3 or 4 axes.
        labels: name of the labels (n,); None for the only 1-d integer array of length n, or none.

    Returns:
        x (n, h, w, c), and labels or None.

    Raises:
        InputError: for a file without such images.
    """
    return _images(expanded(path), *read_npz(path, images, labels))


def load(name: str | pathlib.Path, split: str = "train") -> Images:
    """Return a data set by name, or the images of an .npz file by its path.

    Example:
        >>> load("digits").x.max().item()
        1.0

    Args:
        name: "digits", "fashion_mnist", "cifar10", "stl10", or a path that ends in .npz.
        split: "train" or "test"; digits and .npz files have no splits and ignore it.

    Raises:
        InputError: for an unknown name, and as the readers.
    """
    if pathlib.Path(name).suffix == ".npz":
        return npz(name)
    readers = {
        "digits": digits,
        "fashion_mnist": lambda: fashion_mnist(split),
        "cifar10": lambda: cifar10(split=split),
        "stl10": lambda: stl10(split=split),
    }
    require_name("images", str(name), (*readers, "PATH.npz"))
    return readers[str(name)]()


def find(name: str) -> pathlib.Path | None:
    """Return where a data set lies on this machine, or None.

    Example:
        >>> find("digits").name
        'digits.csv.gz'

    Raises:
        InputError: for an unknown name.
    """
    if name == "digits":
        package = importlib.util.find_spec("sklearn")
        inside = (package.submodule_search_locations or ()) if package else ()
        candidates = [pathlib.Path(p) / "datasets/data/digits.csv.gz" for p in inside]
        return next((path for path in candidates if path.is_file()), None)
    require_name("images", name, ("digits", *_FOLDERS))
    roots = (*_data_root(), _SYSTEM)
    folders = [*_data_root(), *(root / folder for root in roots for folder in _FOLDERS[name])]
    if name == "fashion_mnist":
        return next((f for f in folders if _has(f, "train-images-idx3-ubyte")), None)
    if name == "stl10":
        unpacked = [place for f in folders for place in (f, f / "stl10_binary")]
        return next((place for place in unpacked if (place / "train_X.bin").is_file()), None)
    places = [place for f in folders for place in (*(f / n for n in _CIFAR10_NAMES), f)]
    return next((place for place in places if _is_cifar10(place)), None)


def available() -> dict[str, pathlib.Path | None]:
    """Return where each named data set lies, None for those that are not on this machine.

    Example:
        >>> sorted(available())
        ['cifar10', 'digits', 'fashion_mnist', 'stl10']
    """
    return {name: find(name) for name in ("cifar10", "digits", "fashion_mnist", "stl10")}


def subset(key: Array, images: Images, n: int) -> Images:
    """Return n images drawn without replacement; under one key a smaller subset begins a larger.

    Example:
        >>> subset(jax.random.key(0), digits(), 5).x.shape
        (5, 8, 8, 1)

    Args:
        key: typed key.
        images: what to draw from.
        n: 1 <= n <= number of images.

    Raises:
        InputError: for n out of range.
    """
    n = require_count("n", n, high=len(images.x))
    rows = np.asarray(_permutation(key, len(images.x)))[:n]
    return Images(images.x[rows], None if images.labels is None else images.labels[rows])


_permutation = compile_cheaply(jax.random.permutation, static_argnames="x")


def _data_root() -> tuple[pathlib.Path, ...]:
    root = os.environ.get("JSSL_DATA")
    return (expanded(root),) if root else ()


def _locate(name: str, path: str | pathlib.Path | None) -> pathlib.Path:
    place = find(name) if path is None else expanded(path)
    if place is None or not place.exists():
        where = f"at {place}" if place else "on this machine"
        message = (
            f"no {name} {where}; download it and set JSSL_DATA to the folder above "
            f"'{_FOLDERS[name][0]}', or give its path"
        )
        raise InputError(message)
    return place


def _has(folder: pathlib.Path, stem: str) -> bool:
    return any((folder / (stem + suffix)).is_file() for suffix in ("", ".gz"))


def _is_cifar10(place: pathlib.Path) -> bool:
    if place.name.endswith(".tar.gz"):
        return place.is_file()
    return any((place / name).is_file() for name in ("test_batch", "test_batch.bin"))


def _idx_file(folder: pathlib.Path, stem: str) -> pathlib.Path:
    plain = folder / stem
    return plain if plain.is_file() else folder / f"{stem}.gz"


def _images(source: pathlib.Path, x: np.ndarray, labels: np.ndarray | None) -> Images:
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or not x.size or x.dtype.kind not in "biuf":
        message = f"{source} must contain images (n, h, w, c); got {x.dtype}{list(x.shape)}"
        raise InputError(message)
    if x.shape[3] > 4 and x.shape[1] <= 4:
        message = f"{source} has channels first, {x.shape}; transpose to (n, h, w, c)"
        raise InputError(message)
    if labels is not None and len(labels) != len(x):
        message = f"{source} has {len(x)} images and {len(labels)} labels; download it again"
        raise InputError(message)
    low, high = float(x.min()), float(x.max())
    if not (low >= 0 and high <= 255):
        message = f"{source} has values in [{low:g}, {high:g}]; scale them to [0, 1] or [0, 255]"
        raise InputError(message)
    scaled = x.dtype.kind == "b" or (x.dtype.kind == "f" and high <= 1)
    require_memory(f"{source}, as float32,", 4 * x.size, "take fewer images")
    x = x.astype(np.float32)
    if not scaled:
        x /= 255
    return Images(x, None if labels is None else labels.astype(np.int64))
