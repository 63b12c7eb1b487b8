"""Whatever a run returns goes through a store: optimisers, dtypes, diverged runs, empty arrays."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from sweep_problems import linear_problem, mlp_problem

import jssl
from jssl.errors import InputError
from jssl.seed_statistics import NOT_RUN
from jssl.sweeps.arrays import stored_dtype
from jssl.sweeps.store import results

STEPS = [0, 2, 4]
NEEDS_MORE = {"lbfgs", "momo", "momo_adam", "sophia"}
"""Their update asks for the value or the loss function, which a `Problem` does not pass."""


def both(make, axes, folder, **options):
    """The same sweep in memory and from a store that plain xarray opens."""
    held = jssl.sweep(make, axes, record_steps=STEPS, **options)
    jssl.sweep(make, axes, record_steps=STEPS, store=folder, **options)
    return held, xr.open_zarr(str(folder), chunks=None).load()


def _is_function(found):
    return inspect.isfunction(found) or isinstance(found, functools.partial)


def optimisers():
    """Every function of optax that makes an optimiser from a learning rate alone."""
    found = {}
    for module in (optax.contrib, optax):
        for name, function in inspect.getmembers(module, _is_function):
            parameters = inspect.signature(function).parameters.values()
            needed = [p.name for p in parameters if p.default is p.empty]
            if "learning_rate" in [p.name for p in parameters] and needed in (
                ["learning_rate"],
                [],
            ):
                found[name] = function
    return {name: found[name] for name in sorted(found) if name not in NEEDS_MORE}


def with_optimiser(optimiser):
    return linear_problem()._replace(optimiser=optimisers()[optimiser](learning_rate=0.01))


def test_optimisers_without_an_effective_time_go_through_a_store(tmp_path):
    names = ["sgd", "adam", "adafactor"]
    held, stored = both(with_optimiser, {"optimiser": names, "seed": 2}, tmp_path / "store")
    assert np.isnan(stored.t).all()
    assert stored.optimiser.values.tolist() == names
    xr.testing.assert_equal(held.drop_vars("optimiser"), stored.drop_vars("optimiser"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Specifying a key will be required:UserWarning")
@pytest.mark.filterwarnings("ignore:.optimistic_adam. is deprecated:DeprecationWarning")
def test_every_optimiser_of_optax_goes_through_a_store_and_its_checkpoints(tmp_path, monkeypatch):
    from jssl.sweeps.run import run_chunks

    monkeypatch.setitem(run_chunks.__kwdefaults__, "checkpoint_seconds", 0.0)
    names = list(optimisers())
    assert len(names) > 40
    axes = {"optimiser": names, "seed": 2}
    jssl.sweep(with_optimiser, axes, record_steps=STEPS, segment=1, store=tmp_path / "store")
    stored = xr.open_zarr(str(tmp_path / "store"), chunks=None).load()
    assert (stored.first_bad_step == -1).all()
    assert np.isnan(stored.t).all()
    losses = stored.loss.mean("seed").isel(step=-1)
    assert np.isfinite(losses).all()
    assert len(np.unique(losses.values.round(12))) > 30  # they are different optimisers


DTYPES = [
    *("bool", "int4", "uint4", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"),
    *("uint64", "float8_e4m3fn", "float8_e5m2", "bfloat16", "float16", "float32", "float64"),
    *("complex64", "complex128"),
]


def test_every_dtype_goes_through_a_store_even_where_all_values_are_its_fill(tmp_path):
    def observe(problem):
        def see(params, pairs):
            fills = {}
            for name in DTYPES:
                kind = stored_dtype(jnp.dtype(name)).kind
                fill = {"f": np.nan, "c": np.nan, "i": NOT_RUN}.get(kind, 0)
                fills[name] = jnp.full((2,), fill).astype(name)
                fills[f"{name}_one"] = jnp.full((2,), 1).astype(name)
            return fills

        return see

    held, stored = both(linear_problem, {"seed": 3}, tmp_path / "store", observe=observe)
    for name in DTYPES:
        assert (stored[f"{name}_one"].values == 1).all()
        assert stored[name].dtype == held[name].dtype
        assert np.can_cast(stored_dtype(jnp.dtype(name)), stored[name].dtype, "no")
        assert (tmp_path / "store" / name / "c" / "0" / "0" / "0").is_file()
    xr.testing.assert_equal(held, stored)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"])
def test_floats_that_numpy_lacks_are_kept_exactly(name):
    dtype = jnp.dtype(name)
    unsigned = np.dtype(f"uint{8 * dtype.itemsize}")
    values = np.arange(2 ** (8 * dtype.itemsize)).astype(unsigned).view(dtype)
    wider = values.astype(stored_dtype(dtype))
    finite = np.isfinite(wider)
    assert finite.mean() > 0.5
    assert (wider[finite].astype(dtype).view(unsigned) == values[finite].view(unsigned)).all()


@pytest.mark.parametrize(
    ("name", "low", "high"), [("int2", -2, 1), ("int4", -8, 7), ("uint4", 0, 15)]
)
def test_integers_that_numpy_lacks_are_kept_exactly(name, low, high):
    expected = np.arange(low, high + 1)
    values = expected.astype(jnp.dtype(name))
    assert values.astype(stored_dtype(name)).tolist() == expected.tolist()
    assert stored_dtype(name).kind == ("u" if low == 0 else "i")


def unpadded(width):
    return mlp_problem(width)


def test_programs_that_return_other_dtypes_share_one_that_holds_both(tmp_path):
    def observe(problem):
        def see(params, pairs):
            dtype = jnp.int32 if len(params[0]["weight"]) == 2 else jnp.float64
            return {"x": jnp.full((), 1.5).astype(dtype)}

        return see

    held, stored = both(unpadded, {"width": [2, 3]}, tmp_path / "store", observe=observe)
    assert held.x.dtype == stored.x.dtype == np.float64
    for found in (held, stored):
        assert found.x.isel(seed=0, step=-1).values.tolist() == [1.0, 1.5]


def test_a_random_key_is_refused_as_an_observable(tmp_path):
    def observe(problem):
        return lambda params, pairs: {"x": jax.random.key(0)}

    with pytest.raises(InputError, match=r"return jax.random.key_data"):
        jssl.sweep(
            linear_problem, {"seed": 2}, record_steps=STEPS, store=tmp_path / "s", observe=observe
        )
    assert list(tmp_path.iterdir()) == []


def test_runs_that_all_diverge_go_through_a_store(tmp_path):
    def observe(problem):
        return lambda params, pairs: {"x": params["weight"].sum() * jnp.nan}

    axes = {"learning_rate": [1e30, 1e31], "seed": 2}
    held, stored = both(linear_problem, axes, tmp_path / "store", observe=observe)
    assert (stored.first_bad_step >= 0).all()
    assert np.isnan(stored.x).all()
    xr.testing.assert_equal(held, stored)
    done = []
    jssl.sweep(
        linear_problem,
        axes,
        record_steps=STEPS,
        store=tmp_path / "store",
        observe=observe,
        progress=done.append,
    )
    assert [(p.done, p.diverged) for p in done] == [(4, 4)]


def test_observables_without_elements_go_through_a_store(tmp_path):
    def observe(problem):
        return lambda params, pairs: {"none": jnp.zeros((0,)), "x": params["weight"].sum()}

    held, stored = both(linear_problem, {"seed": 2}, tmp_path / "store", observe=observe)
    assert stored.none.shape == (2, 3, 0)
    xr.testing.assert_equal(held, stored)


def test_a_damaged_chunk_of_a_smaller_program_is_computed_again(tmp_path):
    def observe(problem):
        return lambda params, pairs: {"first": params[0]["weight"][:, 0]}

    axes = {"width": [2, 3], "seed": 3}
    options = {"observe": observe, "seed_block": 2, "chunk_seconds": 1e-9}
    held, stored = both(unpadded, axes, tmp_path / "store", **options)
    assert np.isnan(stored.first.sel(width=2).values[..., 2]).all()
    chunk = tmp_path / "store" / "first" / "c" / "0" / "1" / "0" / "0"  # the last seed's
    data = chunk.read_bytes()
    chunk.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    _, stored = both(unpadded, axes, tmp_path / "store", **options)
    assert chunk.read_bytes() == data
    xr.testing.assert_equal(held, stored)


def test_first_bad_step_is_written_after_everything_else(tmp_path, monkeypatch):
    real, order = results.checksum, []

    def noted(path, **options):
        order.append(path.relative_to(tmp_path / "store").parts[0])
        return real(path, **options)

    monkeypatch.setattr(results, "checksum", noted)
    jssl.sweep(
        linear_problem,
        {"learning_rate": [0.01, 0.02], "seed": 2},
        record_steps=STEPS,
        store=tmp_path / "store",
    )
    last = [name == "first_bad_step" for name in order]
    assert last == sorted(last)
    assert last.count(True) >= 1
    assert set(order) == {"eigenvalues", "first_bad_step", "loss", "t"}


def test_a_reader_never_sees_a_finished_run_without_its_values(tmp_path, monkeypatch):
    from zarr.storage import _local

    real, seen = _local._put, []

    def read_after(path, *arguments, **keywords):
        done = real(path, *arguments, **keywords)
        if "c" in path.parts and (tmp_path / "store").exists():
            now = xr.open_zarr(str(tmp_path / "store"), chunks=None)
            made = now.first_bad_step.values != NOT_RUN
            seen.append(made.sum())
            assert np.isfinite(now.loss.values[made]).all()
            assert np.isfinite(now.t.values[made]).all()
        return done

    monkeypatch.setattr(_local, "_put", read_after)
    axes = {"learning_rate": [0.01, 0.02], "seed": 2}
    jssl.sweep(linear_problem, axes, record_steps=STEPS, store=tmp_path / "store", seed_block=1)
    assert 0 in seen
    assert seen[-1] == 4
