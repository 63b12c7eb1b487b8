import numpy as np
import pytest
from sweep_problems import linear_problem

from jssl.errors import InputError
from jssl.sweeps import arrays, open_dataset
from jssl.sweeps.sweep import sweep

STEPS = [0, 2]


def problem(**fields):
    """The same problem whatever its fields are called."""
    del fields
    return linear_problem()


def observe(*found):
    """Return an `observe` of scalars with these names."""
    return lambda problem: lambda params, pairs: {n: params["weight"].sum() for n in found}


def run(axes, **options):
    return sweep(problem, axes, record_steps=STEPS, **options)


def test_an_axis_called_mode_keeps_its_values_beside_the_modes_of_the_eigenvalues():
    result = run({"mode": [0.25, 0.5]})
    assert result.eigenvalues.dims == ("mode", "seed", "step", "mode_value")
    np.testing.assert_array_equal(result["mode"], [0.25, 0.5])
    np.testing.assert_array_equal(result["mode_value"], [1, 2])
    assert result.sizes["mode_value"] == 2


def test_an_axis_called_eigenvalues_leaves_the_modes_their_name():
    result = run({"eigenvalues": [0.5]})
    assert result["eigenvalues_value"].dims == ("eigenvalues", "seed", "step", "mode")


def test_dimensions_of_a_users_own_are_renamed_where_an_axis_has_the_name(tmp_path):
    run({"k": [0.5]}, dims={"eigenvalues": ["k"]}, store=tmp_path / "store")
    result = open_dataset(tmp_path / "store")
    assert result.eigenvalues.dims == ("k", "seed", "step", "k_value")


@pytest.mark.parametrize(
    ("axes", "options", "says"),
    [
        ({"t": [0.5]}, {}, "'t' cannot be an axis: it is reserved, the effective time"),
        ({"first_bad_step": [0.5]}, {}, "'first_bad_step' cannot be an axis"),
        ({"step": [0.5]}, {}, "'step' cannot be an axis"),
        ({"loss": [0.5], "loss_value": [1]}, {}, "'loss' would be stored as 'loss_value'"),
        ({"a": [0.5]}, {"observe": observe("t", "x")}, "'t' would be stored as 't'"),
        ({"a": [0.5]}, {"observe": observe("first_bad_step")}, "'first_bad_step' would be stored"),
        ({"a": [0.5]}, {"observe": observe("seed")}, "'seed' would be stored"),
        ({"a": [0.5]}, {"observe": observe("step")}, "'step' would be stored"),
        (
            {"loss": [0.5]},
            {"observe": observe("loss", "loss_value")},
            "'loss_value' would be stored as 'loss_value', the name of another observable",
        ),
        ({"a": [0.5], "b": [1], "a_b": [2]}, {"zip": [("a", "b")]}, "would be called 'a_b'"),
        ({"point": [0.5]}, {"points": [{"a": 1}]}, "would be called 'point'"),
        ({"a/b": [0.5]}, {}, "an axis cannot be called 'a/b'"),
        ({"jssl": [0.5]}, {}, "an axis cannot be called 'jssl', a part of the store"),
        ({"": [0.5]}, {}, "an axis cannot be called ''"),
        ({"a": [0.5]}, {"observe": observe("a/b")}, "an observable cannot be called 'a/b'"),
        ({"a": [0.5]}, {"observe": observe("..")}, "an observable cannot be called '..'"),
        ({"a": [0.5]}, {"observe": observe("x" * 101)}, "an observable cannot be called"),
        ({"a": [0.5]}, {"observe": observe(3)}, "an observable cannot be called 3"),
        ({"a": [0.5]}, {"observe": lambda p: lambda w, q: w["weight"]}, "return a dictionary"),
        ({"a": [0.5]}, {"dims": {"los": ["k"]}}, "unknown observable in dims 'los'"),
        ({"a": [0.5]}, {"dims": {"eigenvalues": "k"}}, "dims must be a table of lists"),
        ({"a": [0.5]}, {"dims": {"eigenvalues": ["loss"]}}, "both called 'loss'"),
        ({"mode": [0.5], "mode_value": [1]}, {}, "would be called 'mode_value'"),
    ],
)
def test_names_that_collide_are_refused_by_one_line_before_anything_is_written(
    tmp_path, axes, options, says
):
    with pytest.raises(InputError) as caught:
        run(axes, store=tmp_path / "store", **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_two_observables_share_a_dimension_only_where_their_sizes_agree():
    def see(problem):
        return lambda params, pairs: {"x": params["weight"][0], "y": params["weight"][:, 0]}

    with pytest.raises(InputError, match="'k' has size 3 in one observable and 2 in 'y'"):
        run({"a": [0.5]}, observe=see, dims={"x": ["k"], "y": ["k"]})


@pytest.mark.parametrize("name", ["width", "learning rate", "λ", "top-1", "a.b", "C+", "_x"])
def test_usual_names_may_be_used(name):
    arrays.check_name("observable", name)
