#!/usr/bin/env bash
# zarr 3.1.6: the setting array.write_empty_chunks is read when an array is opened, not when it is
# written, so that a context manager around the write has no effect and the chunk gets no file.
#
# Behaviour: zarr.config.set is a context manager, and `with zarr.config.set({"array.write_empty_chunks":
#   True}): a[...] = fill` looks as if it forced the chunk to be written. An array opened outside the
#   context keeps the old value: a chunk that equals its fill value is not written, silently.
# Consequence: a sweep store that keeps a checksum of every chunk file finds no file for chunks whose
#   values happen to equal the fill value (all NaN, all False, all 0).
# Output seen: opened outside: False, opened inside: True
# Fails if this changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install -q --disable-pip-version-check zarr==3.1.6 numpy==2.2.6
"$folder/env/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import zarr

written = {}
for name in ("outside", "inside"):
    path = Path(sys.argv[1]) / name
    zarr.create_array(path, shape=(4,), chunks=(4,), dtype="float64", fill_value=np.nan)
    array = zarr.open_array(path, mode="r+")
    with zarr.config.set({"array.write_empty_chunks": True}):
        if name == "inside":
            array = zarr.open_array(path, mode="r+")
        array[...] = np.nan
    written[name] = (path / "c" / "0").exists()
print(", ".join(f"opened {name}: {there}" for name, there in written.items()))
assert written == {"outside": False, "inside": True}, "the setting is read at another moment"
PYTHON
