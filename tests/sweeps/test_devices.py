"""Many devices, several processes, other platforms."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from sweep_problems import linear_problem, mlp_problem

import jssl
from jssl.devices import use_all_cores
from jssl.errors import InputError
from jssl.losses.registry import LOSSES
from jssl.sweeps import open_dataset, store
from jssl.sweeps.programs import Spec, calls, number_shapes, seed_mesh

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SETTINGS = {
    "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}",
    "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}


@pytest.fixture(scope="module")
def eight():
    """What a process with eight devices found."""
    done = subprocess.run(
        [sys.executable, str(HERE / "eight_devices.py")],
        env=os.environ | SETTINGS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.float32
def test_eight_devices_give_the_numbers_of_one(eight):
    assert eight["devices"] == 8
    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 16}
    one = jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10])
    np.testing.assert_allclose(eight["eigenvalues"], one.eigenvalues, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("devices", ["2 on 4", "1 on 4", "4 on 3"])
def test_a_checkpoint_is_resumed_on_another_number_of_devices(eight, devices):
    found = eight["resumed"][devices]
    assert (found["written"], found["restored"]) == (1, 1)
    assert np.isfinite(found["whole"]).all()
    np.testing.assert_allclose(found["eigenvalues"], found["whole"], rtol=1e-5, atol=1e-6)


@pytest.mark.float32
def test_a_sweep_that_calls_lapack_uses_one_of_eight_devices_and_says_so(eight):
    def observe(problem):
        return lambda params, _: {"weight": params["weight"]}

    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 16}
    weight = jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10], observe=observe).weight
    expected = np.linalg.svd(weight.to_numpy(), compute_uv=False)
    np.testing.assert_allclose(eight["decomposed"]["values"], expected, rtol=1e-5, atol=1e-6)
    (said,) = eight["decomposed"]["said"]
    assert said.startswith("the program of this sweep runs on one of 8 CPU devices")


def test_seeds_on_eight_devices_exchange_nothing(eight):
    assert eight["sweep_collectives"] == []


def test_the_gradient_of_a_split_batch_is_that_of_the_whole_for_every_loss(eight):
    off = eight["gradients"]["off"]
    assert set(off) == set(LOSSES)
    assert max(off.values()) < 1e-12
    assert eight["gradients"]["collectives"] > 0  # the batch was split indeed


@pytest.mark.float32
def test_a_program_lowers_for_every_platform():
    mesh = seed_mesh()
    static, traced = (("max_width", 8),), ("learning_rate", "width")
    key = jax.eval_shape(lambda: jax.random.key(0))
    lanes = number_shapes(traced, 4), jax.ShapeDtypeStruct((4,), jnp.uint32)
    increments = jax.ShapeDtypeStruct((3,), jnp.int32)
    call = calls(Spec(mlp_problem), static, 2, mesh).whole
    made = export.export(call, platforms=("cpu", "cuda", "tpu"))(*lanes, key, increments)
    assert made.platforms == ("cpu", "cuda", "tpu")
    products = made.mlir_module().count("stablehlo.dot_general")
    assert products == made.mlir_module().count("precision = [HIGHEST, HIGHEST]") > 0


def test_devices_are_chosen_before_jax_starts_or_not_at_all():
    jnp.zeros(1)
    with pytest.raises(InputError, match="before any array is made"):
        use_all_cores(3)


STUDY = """
store = "{store}"
record = [0, 2, 10]
[problem]
make = "sweep_problems:linear_problem"
[axes]
learning_rate = [0.01, 0.02, 0.03]
seed = 40
[layout]
seed_block = 1
chunk_seconds = 1e-9
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_four(study):
    port = free_port()
    return [
        subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "jssl.commands.main",
                    "sweep",
                    str(study),
                    "--devices",
                    "2",
                ),
                *("--coordinator", f"127.0.0.1:{port}", "--num-processes", "4"),
                *("--process-id", str(i)),
            ],
            env=os.environ | SETTINGS,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(4)
    ]


@pytest.mark.slow
@pytest.mark.float32
@pytest.mark.parametrize("lost", [None, 2])
def test_four_processes_fill_one_store_and_a_lost_one_leaves_its_own_shard(tmp_path, lost):
    study, folder = tmp_path / "study.toml", tmp_path / "store"
    study.write_text(STUDY.format(store=folder))
    processes = start_four(study)
    if lost is not None:
        while not store.finished_names(folder):
            assert processes[lost].poll() is None
        processes[lost].kill()
    errors = [p.communicate(timeout=300)[1] for p in processes]
    if lost is not None:
        others = [i for i in range(4) if i != lost]
        assert [processes[i].returncode for i in others] == [0, 0, 0], errors
        again = start_four(study)
        errors = [p.communicate(timeout=300)[1] for p in again]
        assert [p.returncode for p in again] == [0] * 4, errors
    else:
        assert [p.returncode for p in processes] == [0] * 4, errors
    axes = {"learning_rate": [0.01, 0.02, 0.03], "seed": 40}
    alone = jssl.sweep(linear_problem, axes, record_steps=[0, 2, 10])
    found = open_dataset(folder)
    np.testing.assert_allclose(found.eigenvalues, alone.eigenvalues, rtol=1e-5, atol=1e-6)


def test_no_device_is_refused():
    with pytest.raises(InputError, match="devices must be 1 or more; got 0"):
        use_all_cores(0)
