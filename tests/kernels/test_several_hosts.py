"""One call in several processes: the modes of one process, each with its share of the tiles."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import two_hosts

from jssl.kernels import processes
from jssl.kernels.tiles import KernelProduct


def test_parts_of_a_product_add_up_to_it():
    model, pairs = two_hosts.CASES["dense"]
    views = np.concatenate(pairs[:2])
    v = np.random.default_rng(1).normal(size=(90, 3))
    whole = KernelProduct(model, views, tile=16)
    parts = [KernelProduct(model, views, tile=16, part=(index, 4)) for index in range(4)]
    assert sorted(part.tiles for part in parts) == [5, 5, 5, 6]
    np.testing.assert_allclose(sum(part(v) for part in parts), whole(v), rtol=1e-12)
    idle = KernelProduct(model, views, tile=128, part=(3, 4))  # fewer tiles than processes
    assert idle.tiles == 0
    assert not idle(v).any()


def test_one_process_exchanges_nothing():
    assert processes.share() == (0, 1)
    part = np.arange(3)
    assert processes.total(part) is part


@pytest.mark.slow
def test_two_processes_find_the_modes_of_one_with_half_of_the_tiles_each(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = Path(two_hosts.__file__)
    started = [
        subprocess.Popen(
            [sys.executable, script, str(index), str(port), tmp_path],
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(two_hosts.PROCESSES)
    ]
    try:
        errors = [each.communicate(timeout=300)[1] for each in started]
    finally:
        for each in started:
            each.kill()
    assert [each.returncode for each in started] == [0, 0], "\n".join(errors)[-4000:]

    found = [np.load(tmp_path / f"found-{index}.npz") for index in range(2)]
    for name in found[0].files:
        np.testing.assert_array_equal(found[0][name], found[1][name])
    for name in (*two_hosts.CASES, "continued"):
        one = two_hosts.modes("dense" if name == "continued" else name)
        values = found[0][f"{name}.eigenvalues"]
        np.testing.assert_allclose(values, one["eigenvalues"], rtol=1e-10)
        overlap = found[0][f"{name}.coefficients"] / one["coefficients"]
        np.testing.assert_allclose(np.abs(overlap), 1, rtol=1e-5)

    first, second = ((tmp_path / f"tiles-{index}").read_text().splitlines() for index in range(2))
    whole = {f"{i}.{j}" for i in range(6) for j in range(i, 6)}
    assert {frozenset(line.split()) for line in second} == {frozenset(second[0].split())}
    assert set(first[-1].split()) | set(second[-1].split()) == whole
    assert not set(first[-1].split()) & set(second[-1].split())
    assert len(second[-1].split()) == len(whole) // 2
