"""How much processor time do the tests take, beside those of the same name in another checkout?

    python -m benchmarks.suite --against FOLDER            # half an hour and more
    python -m benchmarks.suite --against FOLDER tests/losses

Tests are compared by their names and parameters without the file, which may have moved; both
checkouts have a .venv of their own. The whole of a suite grows with its tests, so that only the
time of those that both have says whether tests have become cheaper.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro

from benchmarks import harness, suite_plugin

Times = dict[str, float]


def times_of(checkout: Path, tests: Sequence[str]) -> Times:
    """Return name of a test with its file -> CPU seconds, run as `pytest` runs them."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copy(suite_plugin.__file__, place)
        written = Path(place) / "times"
        written.mkdir()
        python = str(checkout.absolute() / ".venv" / "bin" / "python")
        subprocess.run(
            [python, "-m", "pytest", "-q", "-p", "suite_plugin", *tests],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": place, suite_plugin.FOLDER: str(written)},
            check=False,  # a test that fails has taken its time as well
        )
        return read(written)


def read(folder: Path) -> Times:
    """Return what the plugin has written."""
    return dict(json.loads(line) for file in folder.iterdir() for line in file.open())


class Compared(NamedTuple):
    """Tests and CPU seconds of a part of two suites.

    Attributes:
        part: which tests.
        tests: in this checkout.
        seconds: CPU seconds of this checkout.
        tests_there: in the other one.
        seconds_there: CPU seconds of the other one.
    """

    part: str
    tests: int
    seconds: float
    tests_there: int
    seconds_there: float


def compare(here: Times, there: Times) -> list[Compared]:
    """Return all tests, and those of the same name.

    Example:
        >>> compare({"a.py::one": 1.0, "b.py::two": 5.0}, {"c.py::one": 2.0})[1]
        Compared(part='of the same name', tests=1, seconds=1.0, tests_there=1, seconds_there=2.0)
    """
    named = [_by_name(times) for times in (here, there)]
    shared = [name for name in named[1] if len(named[0].get(name, ())) == len(named[1][name])]
    kept = [[seconds for name in shared for seconds in each[name]] for each in named]
    every = Compared("all", len(here), sum(here.values()), len(there), sum(there.values()))
    same = (len(kept[0]), sum(kept[0]), len(kept[1]), sum(kept[1]))
    return [every, Compared("of the same name", *same)]


def _by_name(times: Mapping[str, float]) -> dict[str, list[float]]:
    named: dict[str, list[float]] = defaultdict(list)
    for name, seconds in times.items():
        named[name.split("::", 1)[-1]].append(seconds)
    return named


def main(against: Path, tests: Annotated[tuple[str, ...], tyro.conf.Positional] = ()) -> None:
    """Run both suites and write results/suite.json, which only whole suites change.

    Args:
        against: another checkout.
        tests: files and folders; all by default.
    """
    times = [times_of(place, tests) for place in (Path(__file__).resolve().parents[1], against)]
    rows = [part._asdict() for part in compare(*times)]
    if tests:
        print("\n".join(map(str, rows)))
        return
    same = rows[1]
    facts = {
        "tests of the same name: CPU time over that of the other checkout": same["seconds"]
        / same["seconds_there"]
    }
    harness.report("suite", rows, facts, dtype=np.float64)


if __name__ == "__main__":
    tyro.cli(main)
