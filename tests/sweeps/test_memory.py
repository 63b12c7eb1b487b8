"""A sweep's memory is that of a chunk, however many seeds and steps there are."""

import subprocess
import sys
from pathlib import Path

import pytest

from jssl.sweeps.programs import calls

ROOT = Path(__file__).parents[2]
RUN = """
import sys
import jssl
from sweep_problems import mlp_problem
from jssl.memory import peak_memory
store, seeds, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
jssl.sweep(mlp_problem, {"width": [128], "seed": seeds}, record_steps=[0, steps], store=store,
           memory=2e7)
print(peak_memory())
"""


def peak(folder, seeds, steps):
    command = [sys.executable, "-c", RUN, str(folder / f"{seeds}-{steps}"), str(seeds), str(steps)]
    path = f"{ROOT}:{Path(__file__).parent}"
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": path, "PATH": ""}
    )
    return int(done.stdout)


@pytest.mark.slow
def test_peak_memory_is_flat_in_seeds_and_in_steps_between_records(tmp_path):
    one = 4 * (3 * 128 + 128 * 128 + 128 * 2)  # bytes of one run's weights
    base = peak(tmp_path, 256, 10)
    for seeds, steps in ((2048, 10), (256, 200)):
        # Every run or step kept would be at least 1,792 x 67 kB = 120 MB, or 256 x 190 x 67 kB.
        assert peak(tmp_path, seeds, steps) - base < 0.3 * (2048 - 256) * one


def test_a_process_keeps_few_compiled_programs():
    """Sweeps over static values stay below the number of mappings that Linux allows a process."""
    assert calls.cache_info().maxsize * 2_000 < 65_530 / 2
