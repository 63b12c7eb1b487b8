import numpy as np
import pytest

from jssl.errors import InputError
from jssl.sweeps.grid import make_grid, split, values_at
from jssl.sweeps.study import make_study


def problem(width, learning_rate=0.1, loss="a", depth=2, max_width=None): ...


def plain(width, noise=0.1): ...


def grid_of(make_problem, axes, **options):
    return make_grid(make_study(make_problem, axes, [0], **options))


def test_floats_are_traced_and_names_and_sizes_split_programs():
    axes = {"width": [4], "learning_rate": [1, 0.5], "loss": ["a", "b"], "depth": [1, 2, 3]}
    grid = grid_of(problem, axes)
    assert grid.traced == {"learning_rate"}
    assert len(split(grid)) == 6
    assert sum(p.points for p in split(grid)) * grid.seeds == grid.runs == 12


def test_an_axis_named_static_keeps_python_values():
    grid = grid_of(problem, {"width": [4], "learning_rate": [0.1, 0.5]}, static=["learning_rate"])
    assert [dict(p.static)["learning_rate"] for p in split(grid)] == [0.1, 0.5]


def test_programs_cover_every_point_once_whatever_is_zipped_padded_or_listed():
    axes = {"width": [4, 8, 16], "learning_rate": [0.1, 0.2, 0.3]}
    points = [{"loss": "a", "depth": 1}, {"loss": "b", "depth": 1}, {"loss": "a", "depth": 2}]
    for zipped in ((), [("width", "learning_rate")]):
        grid = grid_of(problem, axes, points=points, zip=zipped)
        for bins in ({}, {4: 8, 8: 8, 16: 16}, {4: 16, 8: 16, 16: 16}):
            seen = np.zeros(grid.shape[:-1], int)
            for program in split(grid, bins):
                seen[np.ix_(*program.positions)] += 1
            assert (seen == 1).all()


def test_a_width_alone_in_its_bin_is_not_padded():
    grid = grid_of(problem, {"width": [4, 8, 16]})
    statics = [dict(p.static) for p in split(grid, {4: 8, 8: 8, 16: 16})]
    assert statics == [{"max_width": 8}, {"width": 16}]


def test_values_follow_their_positions():
    axes = {"width": [4, 8], "learning_rate": [0.1, 0.2, 0.3]}
    grid = grid_of(problem, axes)
    found = values_at(grid, ("learning_rate", "width"), np.array([[1, 2], [0, 0]]))
    assert found["learning_rate"].tolist() == [0.3, 0.1]
    assert found["width"].tolist() == [8, 4]
    assert found["width"].dtype == np.int64


@pytest.mark.parametrize(
    ("axes", "options", "says"),
    [
        ({"widht": [4]}, {}, "unknown axis 'widht'; did you mean 'width'"),
        ({"width": []}, {}, "axis 'width' is empty"),
        ({"width": [4, 8, 4]}, {}, "axis 'width' contains 4 twice"),
        ({"width": [0]}, {}, "at least 1; got 0"),
        ({"width": [4.5]}, {}, "at least 1; got 4.5"),
        ({"width": 4}, {}, "must be a list"),
        ({"width": "wide"}, {}, "must be a list"),
        ({"width": [4], "seed": 0}, {}, "at least 1; got 0"),
        ({"width": [4], "seed": [1, 2]}, {}, "a number of seeds"),
        ({"learning_rate": [0.1]}, {}, "make_problem needs 'width'"),
        ({"width": [4], "max_width": [8]}, {}, "reserved"),
        (
            {"width": [4], "learning_rate": [float("nan")]},
            {},
            "axis 'learning_rate' contains a number that is not finite",
        ),
        ({"width": [4]}, {"points": [{"loss": "a"}, {"loss": "a"}]}, "twice"),
        ({"width": [4]}, {"points": [{"loss": "a"}, {"depth": 1}]}, "same fields"),
        ({"width": [4]}, {"points": []}, "points is empty"),
        ({"width": [4]}, {"points": [{"width": 4}]}, "is an axis and a field of points"),
        ({"width": [4, 8], "loss": ["a"]}, {"zip": [("width", "loss")]}, "equal lengths"),
        ({"width": [4]}, {"zip": [("width", "los")]}, "unknown zipped axis"),
        ({"width": [4]}, {"static": ["rate"]}, "unknown static axis"),
    ],
)
def test_bad_axes_are_one_clear_line(axes, options, says):
    with pytest.raises(InputError, match=says) as caught:
        grid_of(problem, axes, **options)
    assert "\n" not in str(caught.value)


def test_width_is_never_padding_where_the_problem_takes_no_max_width():
    assert not grid_of(plain, {"width": [4, 8]}).can_pad
