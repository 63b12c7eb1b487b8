"""No program that runs on several CPU devices calls LAPACK: such calls may wait for ever.

The tests inspect programs; none runs into the wait.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from sweep_problems import linear_problem

import jssl
from jssl import losses, models
from jssl.commands import sweep as command
from jssl.data import pairs
from jssl.lapack import calls_lapack
from jssl.losses.registry import LOSSES
from jssl.models import MODELS
from jssl.optim import stiefel_sgd
from jssl.sweeps.grid import make_grid
from jssl.sweeps.plan import make_plan
from jssl.sweeps.programs import Spec, calls, seed_mesh
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import Machine, make_workload, mesh_of, on_one_device, one_device_line

IMAGES = ("conv", "resnet")
CALL = re.compile(r"custom_call @(lapack|blas)_\w+")


def problem_of(model="linear", loss="vicreg", learning_rate=0.01):
    """Return a problem of any registered model and loss."""
    shape = (4, 4, 1) if model in IMAGES else (16,)
    x = np.random.default_rng(0).normal(size=(3, 6, *shape))
    views = jssl.Pairs(*x[:2], x[2] if loss == "linear_contrastive" else None)
    net = models.get(model, shape if model in IMAGES else 16, 3)
    return jssl.Problem(pairs.fixed(views), net, losses.get(loss), optax.sgd(learning_rate))


def lowered(make_problem, observe=None):
    """Return the text of the three programs of a sweep."""
    call = calls(Spec(make_problem, observe), (), 2, seed_mesh())
    key, seeds = jax.random.key(0), jnp.arange(4, dtype=jnp.uint32)
    increments = jnp.zeros(3, jnp.int32)
    state = jax.eval_shape(call.start, {}, seeds, key)
    return (
        call.whole.lower({}, seeds, key, increments).as_text()
        + call.start.lower({}, seeds, key).as_text()
        + call.segment.lower({}, state, increments).as_text()
    )


@pytest.mark.float32
@pytest.mark.parametrize("model", MODELS)
def test_no_model_under_the_default_observables_calls_lapack(model):
    text = lowered(lambda: problem_of(model))
    assert "func.func public @main" in text
    assert not CALL.search(text)


@pytest.mark.float32
@pytest.mark.parametrize("loss", LOSSES)
def test_no_loss_under_the_default_observables_calls_lapack(loss):
    assert not CALL.search(lowered(lambda: problem_of(loss=loss)))


def test_a_decomposition_in_the_program_is_seen_in_its_text():
    def observe(problem):
        return lambda params, _: {"values": jnp.linalg.eigvalsh(params["weight"][:, :3])}

    assert CALL.search(lowered(problem_of, observe))


MATRIX = jnp.eye(3)[None]
FUNCTIONS = {
    "cholesky": jnp.linalg.cholesky,
    "cholesky_update": lambda a: lax.linalg.cholesky_update(a[0], a[0, 0]),
    "det": jnp.linalg.det,
    "eig": jnp.linalg.eig,
    "eigh": jnp.linalg.eigh,
    "expm": lambda a: jax.scipy.linalg.expm(a[0]),
    "hessenberg": lax.linalg.hessenberg,
    "householder_product": lambda a: lax.linalg.householder_product(a, a[:, 0]),
    "inv": jnp.linalg.inv,
    "lu": lax.linalg.lu,
    "pinv": jnp.linalg.pinv,
    "polar": lambda a: jax.scipy.linalg.polar(a[0]),
    "qr": jnp.linalg.qr,
    "schur": lax.linalg.schur,
    "solve": lambda a: jnp.linalg.solve(a, a),
    "svd": jnp.linalg.svd,
    "symmetric_product": lambda a: lax.linalg.symmetric_product(a, a),
    "triangular_solve": lambda a: lax.linalg.triangular_solve(a, a),
    "tridiagonal": lax.linalg.tridiagonal,
    "tridiagonal_solve": lambda a: lax.linalg.tridiagonal_solve(a[:, 0], a[:, 0], a[:, 0], a),
    "product": lambda a: a @ a,
    "sort": jnp.sort,
    "within a loop": lambda a: lax.fori_loop(0, 3, lambda _, a: jnp.linalg.qr(a)[0], a),
    "within a gradient": jax.grad(lambda a: jnp.linalg.slogdet(a)[1].sum()),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_trace_tells_what_the_lowered_program_calls(name):
    """The list of primitives is right for this version of JAX."""
    in_text = bool(CALL.search(jax.jit(FUNCTIONS[name]).lower(MATRIX).as_text()))
    assert calls_lapack(jax.make_jaxpr(FUNCTIONS[name])(MATRIX).jaxpr) == in_text


def planned(make_problem, axes, steps, **options):
    workload = make_workload(make_grid(make_study(make_problem, axes, steps, **options)))
    return make_plan(workload, measure=False)[0]


def line_of(plan):
    return one_device_line(plan.workload, [x.program for x in plan.layouts])


@pytest.fixture
def two_devices(monkeypatch):
    """Plans are made for two CPU devices; the mesh still is made of those there are."""
    monkeypatch.setattr("jssl.sweeps.workload.machine", lambda memory: Machine("cpu", 2, 4e9))


def observe_values(problem):
    return lambda params, _: {"values": jnp.linalg.svd(params["weight"], compute_uv=False)}


def orthonormal_start(learning_rate):
    plain = linear_problem(learning_rate)

    def init(key):
        return {"weight": jnp.linalg.qr(plain.model.init(key)["weight"].T)[0].T}

    return plain._replace(model=plain.model._replace(init=init))


def qr_retraction(learning_rate):
    plain = linear_problem(learning_rate)
    link = stiefel_sgd(learning_rate, method="qr")
    model = plain.model._replace(
        init=lambda key: plain.model.init(key)["weight"].T, apply=lambda w, x: x @ w
    )
    return plain._replace(model=model, optimiser=link)


@pytest.mark.parametrize(
    ("make_problem", "observe", "alone"),
    [
        (linear_problem, None, False),
        (linear_problem, observe_values, True),
        (orthonormal_start, None, True),
        (qr_retraction, None, True),
    ],
)
def test_a_program_that_calls_lapack_is_planned_on_one_cpu_device(
    two_devices, make_problem, observe, alone
):
    axes = {"learning_rate": [0.01], "seed": 64}
    plan = planned(make_problem, axes, [0, 10], observe=observe)
    (layout,) = plan.layouts
    assert on_one_device(plan.workload, layout.program) == alone
    assert layout.cost.devices == (1 if alone else None)
    line = line_of(plan)
    assert bool(line) == alone
    assert "\n" not in line
    if alone:
        assert mesh_of(plan.workload, layout.program).size == 1
        assert "one of 2 CPU devices" in line
        assert "jssl.EigenvaluesOf" in line


def test_programs_without_lapack_keep_all_devices_beside_one_that_calls_it(two_devices):
    def make_problem(learning_rate, start):
        return (orthonormal_start if start == "orthonormal" else linear_problem)(learning_rate)

    axes = {"learning_rate": [0.01], "start": ["normal", "orthonormal"], "seed": 64}
    plan = planned(make_problem, axes, [0, 10])
    assert [x.cost.devices for x in plan.layouts] == [None, 1]
    assert line_of(plan).startswith("1 program of this sweep runs")


def test_other_platforms_and_a_single_device_keep_their_plan(monkeypatch):
    axes = {"learning_rate": [0.01], "seed": 4}
    for machine in (Machine("gpu", 2, 4e9), Machine("cpu", 1, 4e9)):
        monkeypatch.setattr("jssl.sweeps.workload.machine", lambda memory, found=machine: found)
        assert not line_of(planned(linear_problem, axes, [0, 10], observe=observe_values))


def test_a_plan_on_paper_says_which_programs_run_on_one_device(two_devices, capsys):
    axes = {"learning_rate": [0.01], "seed": 4}
    preview = jssl.sweep(
        linear_problem, axes, record_steps=[0, 10], observe=observe_values, plan=True
    )
    command.show_plan(preview)
    assert "runs on one of 2 CPU devices" in " ".join(capsys.readouterr().out.split())


def test_matrices_count_in_the_memory_of_a_run(two_devices):
    def make_problem(dim):
        return linear_problem()._replace(model=models.linear(3, dim))

    plan = planned(make_problem, {"dim": [100], "seed": 4}, list(range(11)))
    (layout,) = plan.layouts
    assert 11 * 100 * 100 * 8 < layout.cost.record < 1.1 * 11 * 100 * 100 * 8
    little = plan.workload._replace(machine=Machine("cpu", 2, 5e5))
    with pytest.raises(jssl.InputError, match="fewer record points"):
        make_plan(little)


def test_two_chunks_of_a_program_that_calls_lapack_never_run_at_once(monkeypatch):
    from jssl.sweeps import run

    seen = []
    real_collect, real_launch = run.collect, run.launch
    monkeypatch.setattr(run, "on_one_device", lambda *_: True)

    def collect(*arguments):
        seen.append("collect")
        return real_collect(*arguments)

    def launch(*arguments):
        seen.append("launch")
        return real_launch(*arguments)

    monkeypatch.setattr(run, "collect", collect)
    monkeypatch.setattr(run, "launch", launch)
    axes = {"learning_rate": [0.01], "seed": 3}
    jssl.sweep(linear_problem, axes, record_steps=[0, 2], seed_block=1, chunk_seconds=1e-9)
    assert seen == ["launch", "collect"] * 3


def test_a_sweep_warns_once_in_one_line(two_devices):
    with pytest.warns(UserWarning, match="calls LAPACK") as caught:
        jssl.sweep(
            linear_problem, {"learning_rate": [0.01], "seed": 2}, record_steps=[0, 2],
            observe=observe_values,
        )  # fmt: skip
    assert len(caught) == 1
    assert caught[0].filename == __file__
