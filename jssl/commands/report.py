"""`jssl report`: read and check the store of a sweep, and write its report."""

import time
from pathlib import Path

import xarray as xr
from rich.console import Console

from jssl.errors import InputError
from jssl.paths import is_url, store_name
from jssl.report.files import new_report_folder
from jssl.report.sweep_page import missing_line, write_sweep_report
from jssl.seed_statistics import NOT_RUN
from jssl.sweeps.store.integrity import check_whole, finished_names
from jssl.sweeps.store.making import open_dataset

WATCH_SECONDS = 2.0
"""Time between two looks at a store that is watched."""


def report_folder(
    folder: str, out: Path | None = None, *, overwrite: bool = False, watch: bool = False
) -> int:
    """Write the report of a store, finished or not; return 0.

    Args:
        folder: store of a sweep, or its URL.
        out: folder of the report; None for the store's name with -report beside it, or in this
            folder where the store is at a URL.
        overwrite: whether an earlier report in that folder is replaced.
        watch: write it again whenever chunks were added, until no run is missing.

    Raises:
        InputError: where there is no sweep or a damaged one, or the report cannot be written.
    """
    store = store_name(folder)
    name = store.rstrip("/").rpartition("/")[2]
    if out is None:
        out = Path(f"{name}-report") if is_url(store) else Path(f"{store.rstrip('/')}-report")
    new_report_folder(out, overwrite=overwrite or watch)
    while True:
        chunks = finished_names(store)
        result = _opened(store)
        page, data = write_sweep_report(result, out, name)
        finished = int((result.first_bad_step.values != NOT_RUN).sum())
        lacks = missing_line(result)
        line = f"{page} and {data.name}, {finished:,} of {result.first_bad_step.size:,} runs"
        line += f"; {lacks}" if lacks else ""
        Console().print(line, highlight=False, markup=False, soft_wrap=True)
        if not (watch and lacks):
            return 0
        while finished_names(store) == chunks:
            time.sleep(WATCH_SECONDS)


def _opened(folder: str) -> xr.Dataset:
    """Return the result of a store, after reading a value of every variable."""
    try:
        result = open_dataset(folder)
        check_whole(folder)
        lengths = {"t": result.t.dims, "first_bad_step": result.first_bad_step.dims}
        missing = {"seed", "step"} - {*lengths["t"], *lengths["first_bad_step"]}
        if missing:
            message = f"no dimension {' and '.join(sorted(missing))}"
            raise KeyError(message)
        for variable in result.variables.values():
            variable[dict.fromkeys(variable.dims, slice(0, 1))].to_numpy()
    except InputError:
        raise
    except PermissionError as error:
        place = error.filename or folder
        message = f"cannot read '{place}' (permission denied); check its permissions"
        raise InputError(message) from error
    except Exception as error:  # altered metadata may raise anything, in zarr or in xarray
        reason = " ".join(str(error).split()).rstrip(".")[:120] or type(error).__name__
        message = (
            f"cannot read the store '{folder}' ({reason}): its zarr.json files differ "
            "from those that the sweep wrote; restore them, or rerun the sweep with a new store"
        )
        raise InputError(message) from error
    return result
