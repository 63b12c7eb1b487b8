"""A pytest plugin that writes the CPU seconds of every test; `benchmarks.suite` loads it.

It stands alone, so that the suite of any other checkout can load it too.
"""

import json
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = "CPU_OF_TESTS"
"""Environment variable with the folder of the files, one a worker."""


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Iterator[None]:
    """Append `[name of the test, its CPU seconds]`, with those of processes it has waited for."""
    before = _cpu()
    result = yield
    with (Path(os.environ[FOLDER]) / str(os.getpid())).open("a") as file:
        file.write(json.dumps([item.nodeid, _cpu() - before]) + "\n")
    return result
