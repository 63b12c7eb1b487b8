#!/usr/bin/env bash
# ml_dtypes 0.7.0 takes some 50 times the processor time of 0.6.0 to import, and jax imports it.
#
# Behaviour: on import the extension registers loops for its dtypes in the ufuncs of NumPy. NumPy
#   compares each new loop with all that the ufunc has, so that the cost grows as their square, and
#   0.7.0 spends most of it in PyUFunc_AddLoop.
# Consequence: `import jax` takes twice as long after an upgrade of a dependency that a program
#   never names; every short command and every worker process pays.
# Output seen (median of five, seconds of processor time after `import numpy`):
#   ml_dtypes 0.6.0: 0.013, 0.7.0: 0.666 (49 times)
# Fails if 0.7.0 takes less than five times as long as 0.6.0.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
for version in 0.6.0 0.7.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install -q --disable-pip-version-check \
        "ml_dtypes==$version" numpy==2.2.6
done
python3 - "$folder" <<'PYTHON'
import statistics
import subprocess
import sys

CHILD = """
import time
import numpy
started = time.process_time()
import ml_dtypes
print(time.process_time() - started)
"""
seconds = {}
for version in ("0.6.0", "0.7.0"):
    command = [f"{sys.argv[1]}/{version}/bin/python", "-c", CHILD]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(6)]
    seconds[version] = statistics.median(float(run.stdout) for run in runs[1:])  # bytecode first
old, new = seconds["0.6.0"], seconds["0.7.0"]
print(f"ml_dtypes 0.6.0: {old:.3f}, 0.7.0: {new:.3f} ({new / old:.0f} times)")
assert new > 5 * old, "ml_dtypes 0.7.0 imports about as fast as 0.6.0 now"
PYTHON
