import functools

import jax
import numpy as np
import pytest
from sweep_problems import (
    linear_problem,
    mlp_problem,
    normalised_problem,
    speaking_problem,
)

import jssl
from jssl.errors import InputError
from jssl.simulation import run
from jssl.sweeps.costs import padding_is_exact
from jssl.sweeps.grid import make_grid
from jssl.sweeps.plan import make_plan
from jssl.sweeps.programs import Spec
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import make_workload

STEPS = [0, 3, 30]
AXES = {"learning_rate": [0.01, 0.03], "loss": ["barlow_twins_linearized", "vicreg"], "seed": 3}


def small(axes=AXES, problem=linear_problem, **options):
    return jssl.sweep(problem, axes, record_steps=STEPS, **options)


def planned(problem, axes):
    return make_plan(make_workload(make_grid(make_study(problem, axes, STEPS))), measure=False)[0]


def test_every_run_is_the_lone_run_of_its_point_and_seed():
    result = small(seed=5)
    for rate in AXES["learning_rate"]:
        for loss in AXES["loss"]:
            for index in range(3):
                key = jax.random.fold_in(jax.random.key(5), index)
                alone = run(linear_problem(rate, loss=loss), STEPS)(key)
                found = result.sel(learning_rate=rate, loss=loss, seed=index)
                expected = alone.observables
                np.testing.assert_allclose(found.eigenvalues, expected["eigenvalues"], rtol=1e-10)
                np.testing.assert_allclose(found.loss_value, expected["loss"], rtol=1e-10)
                np.testing.assert_allclose(found.t, alone.t)


def test_the_result_is_labelled():
    result = small()
    assert result.eigenvalues.dims == ("learning_rate", "loss", "seed", "step", "mode")
    assert result.step.values.tolist() == STEPS
    assert result.loss.values.tolist() == AXES["loss"]
    assert result.t.attrs["units"] == "learning rate x step"
    for name in ("settings", "versions", "git_revision", "device", "precision"):
        assert result.attrs[name]
    assert "float64" in result.attrs["precision"]


def test_record_steps_are_log_spaced_where_none_are_given():
    steps = jssl.sweep(linear_problem, axes={"learning_rate": [1e-3], "seed": 2}).step.values
    assert steps[0] == 0
    assert steps[-1] == 1000
    assert len(steps) > 15


def test_another_seed_or_another_point_changes_no_run():
    few = small()
    more = small({**AXES, "learning_rate": [0.01, 0.02, 0.03], "seed": 7})
    shared = more.sel(learning_rate=few.learning_rate, seed=few.seed)
    np.testing.assert_allclose(shared.eigenvalues, few.eigenvalues, rtol=1e-12)


def test_the_root_seed_changes_every_run():
    first, second = small(), small(seed=1)
    assert (first.eigenvalues.isel(step=0) != second.eigenvalues.isel(step=0)).all()


@pytest.mark.float32
def test_padded_widths_equal_the_plain_nets(monkeypatch):
    # As if nothing had been compiled before: otherwise padding saves no time.
    monkeypatch.setattr("jssl.sweeps.costs.read_facts", lambda name: {})
    axes = {"width": [4, 8, 16], "learning_rate": [0.02], "seed": 3}
    assert len(planned(mlp_problem, axes).layouts) == 1
    padded = jssl.sweep(mlp_problem, axes, record_steps=STEPS)
    plain = functools.partial(mlp_problem, max_width=None)

    def unpaddable(width, learning_rate):
        return plain(width=width, learning_rate=learning_rate)

    apart = jssl.sweep(unpaddable, axes, record_steps=STEPS)
    np.testing.assert_allclose(padded.eigenvalues, apart.eigenvalues, rtol=1e-5, atol=1e-6)


def test_padded_widths_in_float64_equal_single_runs_to_rounding(monkeypatch):
    monkeypatch.setattr("jssl.sweeps.costs.read_facts", lambda name: {})

    def problem(width, max_width=None):  # the reciprocal of an int32 is a float32
        return mlp_problem(width, learning_rate=0.1 * (1 / width), max_width=max_width)

    axes = {"width": [3, 5, 7], "seed": 2}
    assert len(planned(problem, axes).layouts) == 1
    padded = jssl.sweep(problem, axes, record_steps=STEPS)
    for width in axes["width"]:
        for seed in range(2):
            key = jax.random.fold_in(jax.random.key(0), seed)
            alone = run(problem(width), STEPS)(key).observables["loss"]
            found = padded.loss.sel(width=width, seed=seed)
            np.testing.assert_allclose(found, alone, rtol=1e-12)


@pytest.mark.parametrize("problem", [normalised_problem, speaking_problem])
def test_models_that_padding_would_change_are_never_padded(problem):
    assert planned(problem, {"width": [4, 8], "seed": 2}).bins == {}


def test_the_padding_check_lets_exact_padding_pass():
    static = (("max_width", 8),)
    key = jax.random.key(0)
    assert padding_is_exact(Spec(mlp_problem), static, {"learning_rate": 0.02}, 3, key)


def test_zipped_axes_and_points_are_one_dimension():
    zipped = small(
        {"learning_rate": [0.01, 0.03], "scale": [0.1, 0.3], "seed": 2},
        zip=[("learning_rate", "scale")],
    )
    assert zipped.eigenvalues.dims[0] == "learning_rate_scale"
    assert zipped.scale.dims == ("learning_rate_scale",)
    points = [{"learning_rate": 0.01, "scale": 0.1}, {"learning_rate": 0.03, "scale": 0.3}]
    listed = small({"seed": 2}, points=points)
    np.testing.assert_array_equal(listed.eigenvalues, zipped.eigenvalues)


def test_observables_of_ones_own_have_named_axes():
    def observe(problem):
        del problem
        return lambda params, pairs: {"weight": params["weight"]}

    result = small(observe=observe, dims={"weight": ("out", "in")})
    assert result.weight.dims == ("learning_rate", "loss", "seed", "step", "out", "in")
    assert result.weight.shape[-2:] == (2, 3)


def test_observables_of_another_size_at_some_points_are_filled_with_nan():
    def problem(dim):
        return linear_problem()._replace(model=jssl.models.linear(3, dim, scale=0.3))

    result = small({"dim": [1, 3], "seed": 2}, problem)
    assert result.sizes["mode"] == 3
    assert np.isnan(result.eigenvalues.sel(dim=1, mode=2)).all()
    assert not np.isnan(result.eigenvalues.sel(dim=3)).any()


def test_a_diverged_seed_is_marked_and_its_neighbours_keep_their_bits():
    calm = small({"learning_rate": [0.01, 0.02], "seed": 4})
    wild = small({"learning_rate": [0.01, 1e6], "seed": 4})
    np.testing.assert_array_equal(
        calm.eigenvalues.sel(learning_rate=0.01), wild.eigenvalues.sel(learning_rate=0.01)
    )
    assert (wild.first_bad_step.sel(learning_rate=0.01) == -1).all()
    assert (wild.first_bad_step.sel(learning_rate=1e6) > 0).all()


def test_a_layout_of_small_chunks_gives_the_same_numbers():
    whole = small()
    pieces = small(chunk_seconds=1e-9, seed_block=1)
    np.testing.assert_allclose(pieces.eigenvalues, whole.eigenvalues, rtol=1e-12)


def test_the_lanes_that_fill_up_a_last_chunk_leave_no_trace():
    axes = {"learning_rate": [0.01], "seed": 7}
    whole, uneven = small(axes), small(axes, seed_block=4)
    np.testing.assert_allclose(uneven.eigenvalues, whole.eigenvalues, rtol=1e-12)


def test_a_batch_split_over_devices_gives_the_same_numbers():
    np.testing.assert_allclose(small(parallel="batch").eigenvalues, small().eigenvalues, rtol=1e-12)


@pytest.mark.float32
def test_a_long_sweep_is_measured_first_and_keeps_its_numbers(monkeypatch):
    from jssl.sweeps import costs, plan

    axes, seen = {"learning_rate": [0.01], "seed": 8}, []
    expected = small(axes)
    monkeypatch.setattr(costs, "MEASURE_ABOVE", 0.0)
    monkeypatch.setattr(costs, "MEASURE_SECONDS", 0.01)
    real = plan.measured
    monkeypatch.setattr(plan, "measured", lambda *a: seen.append(real(*a)) or seen[-1])
    found = small(axes)
    (cost,) = seen
    assert cost.step > 0
    assert cost.micro in (4, 8, 16)
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-5, atol=1e-6)


def test_a_sweep_passes_each_stage_once_and_a_resumed_one_takes_its_plan_from_the_store(
    tmp_path, monkeypatch
):
    from jssl.sweeps import opening, sweep

    stages = ("make_study", "make_grid", "make_workload", "make_plan", "run_chunks")
    passed = []

    def noted(stage, real):
        return lambda *arguments, **options: passed.append(stage) or real(*arguments, **options)

    for stage in stages:
        place = opening if stage == "make_plan" else sweep
        monkeypatch.setattr(place, stage, noted(stage, getattr(place, stage)))
    axes = {"learning_rate": [0.01], "seed": 2}
    small(axes)
    small(axes, store=tmp_path / "store")
    small(axes, store=tmp_path / "store")
    resumed = [stage for stage in stages if stage != "make_plan"]
    assert passed == [*stages, *stages, *resumed]


def test_momentum_has_no_effective_time():
    import optax

    def problem(learning_rate):
        return linear_problem()._replace(optimiser=optax.adam(learning_rate))

    result = small({"learning_rate": [0.01], "seed": 2}, problem)
    assert np.isnan(result.t).all()
    assert np.isfinite(result.eigenvalues).all()


def test_a_traced_number_that_python_needs_says_to_name_it_static():
    def problem(learning_rate):
        return linear_problem(0.1 if learning_rate > 0.02 else 0.01)

    with pytest.raises(InputError, match=r"static=\(\.\.\.\)"):
        small({"learning_rate": [0.01, 0.03]}, problem)
    result = small({"learning_rate": [0.01, 0.03]}, problem, static=["learning_rate"])
    assert np.isfinite(result.eigenvalues).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"seed": -1}, "seed must be a whole number from 0 to"),
        ({"shard": (2, 2), "store": "x"}, "0 <= i < n"),
        ({"shard": (0, 2)}, "needs a shared store"),
        ({"parallel": "sed"}, 'parallel must be "batch" or "seed"'),
        ({"chunk_secs": 2}, "did you mean 'chunk_seconds'"),
        ({"memory": 10.0}, "needs about"),
        ({"dims": {"eigenvalues": ("a", "b")}}, "names 2 axes of 'eigenvalues', which has 1"),
    ],
)
def test_bad_options_are_one_clear_line(options, says):
    with pytest.raises(InputError, match=says) as caught:
        small(**options)
    assert "\n" not in str(caught.value)


def test_progress_counts_runs_and_diverged_ones():
    seen = []
    small({"learning_rate": [0.01, 1e6], "seed": 4}, progress=seen.append)
    assert (seen[0].done, seen[-1].done, seen[-1].total, seen[-1].diverged) == (0, 8, 8, 4)
    assert seen[-1].memory > 10**7
    assert set(seen[-1].spent) == {"compile", "compute", "write"}
    assert seen[0].spent["compile"] == 0 < min(seen[-1].spent.values())


def test_a_run_whose_loss_hides_nan_counts_as_diverged():
    def problem(start):
        def loss(za, zb):
            return jax.numpy.nan_to_num((za * zb).mean(), nan=1.0)

        plain = linear_problem(scale=0.3)
        model = plain.model._replace(
            init=lambda key: jax.tree.map(lambda w: start * w, plain.model.init(key))
        )
        return plain._replace(loss=loss, model=model)

    seen = []
    result = small({"start": [1.0, 1e300], "seed": 3}, problem, progress=seen.append)
    assert seen[-1].diverged == 3
    assert (result.first_bad_step.sel(start=1.0) == -1).all()
    assert (result.first_bad_step.sel(start=1e300) == 0).all()
