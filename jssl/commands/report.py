"""`jssl report`: read and check the store of a sweep, and write its report."""

from pathlib import Path

import xarray as xr
from rich.console import Console

from jssl.errors import InputError
from jssl.paths import expanded
from jssl.report.files import new_report_folder
from jssl.report.sweep_page import write_sweep_report
from jssl.seed_statistics import NOT_RUN
from jssl.sweeps.store import check_whole, open_dataset


def report_folder(folder: Path, out: Path | None = None, *, overwrite: bool = False) -> int:
    """Write the report of a store; return 0.

    Args:
        folder: store of a sweep.
        out: folder of the report; None for the store's name with -report beside it.
        overwrite: whether an earlier report in that folder is replaced.

    Raises:
        InputError: where there is no sweep or a damaged one, or the report cannot be written.
    """
    folder = expanded(folder)
    target = folder.parent / f"{folder.name}-report" if out is None else out
    new_report_folder(target, overwrite=overwrite)
    result = _opened(folder)
    page, data = write_sweep_report(result, target, folder.name)
    finished = int((result.first_bad_step.values != NOT_RUN).sum())
    runs = f"{finished:,} of {result.first_bad_step.size:,} runs"
    line = f"{page} and {data.name}, {runs}"
    Console().print(line, highlight=False, markup=False, soft_wrap=True)
    return 0


def _opened(folder: Path) -> xr.Dataset:
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
