#!/usr/bin/env bash
# xarray 2025.6.1 with zarr 3.1.0: the same integer array, with the same fill value -1, opens as float64
# with NaN in zarr format 2 and as the integers that were written in zarr format 3.
#
# Behaviour: format 2 takes the array's fill_value for CF's _FillValue and masks every element that
#   equals it; format 3 does not. A value that was written on purpose (a status of -1) is NaN in one
#   store and -1 in the other, and the dtype changes with it.
# Consequence: a sweep store whose status array uses its fill value as a status reads differently
#   after a conversion between formats; `status == -1` is False everywhere in format 2.
# Output seen: format 2: float64 [nan  0. nan  5.]
#              format 3: int32 [-1  0 -1  5]
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check xarray==2025.6.1 zarr==3.1.0 numpy==2.2.6
"$folder/env/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import numpy as np
import xarray as xr
import zarr

written = np.array([-1, 0, -1, 5], np.int32)
opened = {}
for version in (2, 3):
    group = zarr.open_group(f"{sys.argv[1]}/store{version}", mode="w", zarr_format=version)
    names = {"dimension_names": ("run",)} if version == 3 else {}
    array = group.create_array("status", shape=(4,), chunks=(2,), dtype="int32", fill_value=-1, **names)
    if version == 2:
        array.attrs["_ARRAY_DIMENSIONS"] = ["run"]
    array[:] = written
    opened[version] = xr.open_zarr(group.store, consolidated=False).status.values
    print(f"format {version}: {opened[version].dtype} {opened[version]}")
assert opened[2].dtype == np.float64 and list(np.isnan(opened[2])) == [True, False, True, False]
assert opened[3].dtype == np.int32 and (opened[3] == written).all()
PYTHON
