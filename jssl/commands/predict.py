"""`jssl predict`: read pairs or images from files, print the forecast, write the report."""

import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jssl.data import images as sets
from jssl.data.archives import load_arrays, read_headers
from jssl.data.array_files import read_array
from jssl.data.checks import require_count
from jssl.data.folder import read_folder
from jssl.data.pairs import make_pairs
from jssl.data.views import View, named
from jssl.errors import InputError
from jssl.forecast.forecast import MOST, predict
from jssl.forecast.fresh_views import MOST as MOST_SAMPLES
from jssl.forecast.fresh_views import without_fresh
from jssl.forecast.linear_found import linear_loss
from jssl.forecast.page import page_of
from jssl.forecast.result import Forecast
from jssl.memory import require_memory
from jssl.paths import expanded
from jssl.precision import float64
from jssl.report.files import new_report_folder
from jssl.report.page import write_page
from jssl.single_use import compile_cheaply

Views = tuple[np.ndarray, np.ndarray]
VIEWS = "crop,noise"
"""Augmentations of images by default."""
_PATIENCE = 2.0
"""Seconds after which random starts show progress."""


def run_predict(
    pairs: Path | None,
    images: str | None,
    views: str | None,
    out: Path,
    count: int,
    size: int | None,
    seed: int,
    overwrite: bool = False,
    **options: Any,
) -> int:
    """Predict from files; return 0.

    Raises:
        InputError: for files, names or numbers that cannot be used; before anything is written.
    """
    if (pairs is None) == (images is None):
        message = "pass --pairs FILE, or --images FOLDER with --views crop,noise"
        raise InputError(message)
    if pairs is not None:
        _refuse_for_pairs(views, size)
    views = VIEWS if views is None else views
    require_count("count", count, low=4, high=MOST)
    require_count("seed", seed, low=0, high=2**32 - 1)
    folder = new_report_folder(out, overwrite=overwrite)
    notes: list[str] = []
    names, fresh = without_fresh(views)
    if pairs is not None:
        both: Any = _thin(read_pairs(pairs), count, seed, notes)
    else:
        assert images is not None
        view = named(names)
        x = image_samples(images, min(count, MOST_SAMPLES) if fresh else count, size, seed, notes)
        if fresh:
            both = x.astype(np.float64)
            options["fresh"] = names
        else:
            both = fixed_views(x, view, seed)
        if options.get("clean_first") is None:
            options["clean_first"] = False  # both views were augmented here
    forecast = _with_progress(both, seed, options)
    source = {"pairs": str(pairs)} if pairs else {"images": images, "views": views}
    page, data = write_page(page_of(forecast, source, notes), folder)
    for sentence in (*forecast.summary, *notes, *forecast.caveats):
        print(sentence)
    print(f"{page} and {data.name}")
    return 0


def _refuse_for_pairs(views: str | None, size: int | None) -> None:
    """Raise for options of --images beside --pairs."""
    if views is not None and without_fresh(views)[1]:
        message = "fresh views need --images: pairs in a file are fixed"
        raise InputError(message)
    for option, value in (("--views", views), ("--size", size)):
        if value is not None:
            message = (
                f"{option} changes --images; pairs in a file are used as they are: leave {option} "
                "out"
            )
            raise InputError(message)


def read_pairs(path: Path) -> Views:
    """Return the two views of an .npz of two arrays, or of one array of shape (2, n, ...).

    Raises:
        InputError: for any other file.
    """
    headers = read_headers(path)
    if len(headers) == 1:
        stacked = read_array(path)
        if stacked.ndim < 3 or len(stacked) != 2:
            message = f"{path} must be (2, n, ...), the two views; got shape {stacked.shape}"
            raise InputError(message)
        return stacked[0], stacked[1]
    names = ["first", "second"] if {"first", "second"} <= set(headers) else list(headers)
    if len(names) != 2:
        held = ", ".join(f"{key} {header.shape}" for key, header in headers.items()) or "nothing"
        message = (
            f"{path} contains {held}; save two arrays, numpy.savez(path, first=..., second=...)"
        )
        raise InputError(message)
    loaded = load_arrays(path, names)
    return loaded[names[0]], loaded[names[1]]


def image_samples(
    source: str, count: int, size: int | None, seed: int, notes: list[str]
) -> np.ndarray:
    """Return images of a folder or a named set; add to `notes` what was changed.

    Raises:
        InputError: for an unknown set, or images that cannot be read.
    """
    if expanded(source).is_dir():
        folder = read_folder(source, count, size=size, seed=seed)
        x: Any = folder.x
        files = sum(path.is_file() for path in expanded(source).rglob("*"))
        if 2 * len(folder.names) < min(files, count):
            share = f"{len(folder.names):,} of the {files:,} files in {source} are images"
            if len(folder.names) < 4:
                message = f"only {share} that can be read; the forecast needs more"
                raise InputError(message)
            notes.append(f"Only {share} that can be read.")
        notes += folder.skipped
        if folder.resized:
            notes.append(f"The images were resized to {x.shape[1]} x {x.shape[2]} pixels.")
    else:
        known = source in sets.available() or source.endswith(".npz")
        if not known:
            what = f"no folder {source}; check the path"
            if Path(source).is_file():
                what = f"{source} is neither a folder of images nor an .npz archive; give one"
            message = f"{what}, or pass one of {', '.join(sets.available())}"
            raise InputError(message)
        if size is not None:
            notes.append(f"--size was not used: it resizes the images of a folder, not {source}.")
        loaded = sets.load(source)
        taken = min(count, len(loaded.x))
        x = sets.subset(_key(seed), loaded, taken).x
        if taken < len(loaded.x):
            notes.append(f"{taken:,} of {len(loaded.x):,} images were drawn at random.")
    return np.asarray(x)


def _key(seed: int) -> Any:
    """Return jax.random.key(seed), without a program of its own."""
    return jax.random.wrap_key_data(np.array([0, seed], np.uint32), impl="threefry2x32")  # type: ignore[arg-type]


def fixed_views(x: np.ndarray, view: View, seed: int) -> Views:
    """Return two views of every image."""
    with float64():
        draw = compile_cheaply(lambda key, x: make_pairs(key, x, view))
        made = draw(_key(seed), x.astype(np.float64))
        return np.asarray(made.first), np.asarray(made.second)


def _with_progress(both: Any, seed: int, options: dict[str, Any]) -> Forecast:
    """Predict, under a progress bar where networks are followed, or random starts for long."""
    if options.get("width") is None and linear_loss(options.get("loss")) != "jepa":
        return predict(both, seed=seed, **options)
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    console = Console(stderr=True)
    bar = Progress(*columns, TextColumn("{task.description}"), console=console)
    task = bar.add_task("", total=1.0)

    began = time.monotonic()
    patience = _PATIENCE if options.get("width") is None else 0.0

    def show(what: str, share: float) -> None:
        if time.monotonic() - began >= patience:
            bar.start()  # only now: a refusal is one line, without a bar before it
        bar.update(task, completed=share, description=what)

    try:
        return predict(both, seed=seed, progress=show, **options)
    except InputError:
        bar.live.transient = True
        bar.live.stop()  # `bar.stop` would print an empty line where stderr is no terminal
        raise
    finally:
        if bar.live.is_started:
            bar.stop()


def _thin(both: Views, count: int, seed: int, notes: list[str]) -> Views:
    first, second = both
    if not first.ndim or not second.ndim:
        message = (
            f"views must be (n, ...), one row for each sample; got shapes {first.shape} and "
            f"{second.shape}"
        )
        raise InputError(message)
    if len(first) != len(second):
        message = f"the views must match row by row; got {first.shape} and {second.shape}"
        raise InputError(message)
    rows = min(len(first), count)
    needed = 2 * rows * math.prod(first.shape[1:]) * 8  # as float64
    require_memory(
        f"a set of {rows:,} pairs of {first.shape[1:]}", needed, "take fewer with --count"
    )
    if len(first) <= count:
        return np.asarray(first), np.asarray(second)
    chosen = np.sort(np.random.default_rng(seed).choice(len(first), count, replace=False))
    notes.append(f"{count:,} of {len(first):,} pairs were drawn at random (--count).")
    return first[chosen], second[chosen]
