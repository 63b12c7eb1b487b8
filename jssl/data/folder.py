"""A folder of image files, read with Pillow; files that cannot be read are listed and left out."""

import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jssl.data.checks import require_count
from jssl.errors import InputError
from jssl.memory import require_memory
from jssl.paths import expanded

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
LARGEST = 64
"""Largest side in pixels of images that are not resized."""
_SMALL = 32


class Folder(NamedTuple):
    """The images of a folder.

    Attributes:
        x: (n, h, w, c) float32 in [0, 1]; c is 1 where all are grey, else 3.
        names: of the n files.
        skipped: one line for each file that could not be read.
        resized: whether sizes were changed.
    """

    x: np.ndarray
    names: tuple[str, ...]
    skipped: tuple[str, ...]
    resized: bool


def read_folder(
    path: str | Path, count: int | None = None, *, size: int | None = None, seed: int = 0
) -> Folder:
    """Return the images below a folder, in the order of their names.

    Example:
        >>> read_folder("absent")
        Traceback (most recent call last):
        ...
        jssl.errors.InputError: no folder absent; check the path

    Args:
        path: the folder; its subfolders are searched.
        count: how many images at most, drawn without replacement; None for all.
        size: side to which each is resized; None keeps their size where all have the same, of at
            most 64 pixels, and else takes 32.
        seed: of the draw.

    Raises:
        InputError: for no folder, no images, or none that can be read.
    """
    from PIL import Image

    folder = expanded(path)
    if not folder.is_dir():
        message = f"no folder {folder}; check the path"
        raise InputError(message)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        message = f"{folder} contains no images ({', '.join(s[1:] for s in SUFFIXES)})"
        raise InputError(message)
    if count is not None and require_count("count", count) < len(files):
        chosen = np.random.default_rng(seed).choice(len(files), count, replace=False)
        files = [files[i] for i in np.sort(chosen)]
    side = None if size is None else require_count("size", size)
    if side is not None:
        _require_room(folder, len(files) * side**2, f"--size {side}")
    found, names, skipped, sizes = [], [], [], Counter[tuple[int, int]]()
    pixels = 0
    for file in files:
        try:
            kept, own = _read(file, side)
        except Exception as error:  # a damaged image may raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            skipped.append(f"cannot read {file} ({reason[:120]}); left out")
            continue
        sizes[own] += 1
        pixels += kept.width * kept.height
        _require_room(folder, pixels, "its images")
        found.append(kept)
        names.append(str(file.relative_to(folder)))
    if not found:
        message = f"none of the {len(files)} images in {folder} can be read; {skipped[0]}"
        raise InputError(message)
    if len({image.size for image in found}) > 1:
        to = side or _SMALL
        found = [image.resize((to, to), Image.Resampling.BOX) for image in found]
    mode = "L" if all(image.mode == "L" for image in found) else "RGB"
    stack = np.stack([np.asarray(image.convert(mode), np.float32) / 255 for image in found])
    resized = any(pair != found[0].size for pair in sizes)
    return Folder(
        stack[..., None] if stack.ndim == 3 else stack, tuple(names), tuple(skipped), resized
    )


def _read(file: Path, side: int | None) -> tuple["Image.Image", tuple[int, int]]:
    """Return an image, resized if requested or if it is large, and its original size."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Pillow only warns of an image of 90 million pixels or more, and refuses twice as many.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file) as image:
            grey = image.mode in ("1", "L", "I", "I;16")
            wanted = side or (_SMALL if max(image.size) > LARGEST else None)
            require_memory("it", 8 * image.width * image.height, "make it smaller")
            kept = image.convert("L" if grey else "RGB")
            if wanted:
                kept = kept.resize((wanted, wanted), Image.Resampling.BOX)
            return kept, image.size


def _require_room(folder: Path, pixels: int, what: str) -> None:
    """Raise an error if the images do not fit into memory, as bytes and twice as float32."""
    require_memory(f"{folder} with {what}", 3 * 9 * pixels, "take fewer images, or a smaller size")
