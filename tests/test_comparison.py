import numpy as np
import pytest

import jssl
from jssl.errors import InputError
from jssl.types import Trajectory


def logistic(t, middle):
    values = 1 / (1 + np.exp(-(t[:, None] - np.asarray(middle))))
    return Trajectory(
        np.arange(len(t)), t, {"eigenvalues": values, "loss": ((1 - values) ** 2).sum(1)}
    )


def test_a_trajectory_agrees_with_itself_exactly():
    one = logistic(np.linspace(0, 20, 200), [4.0, 9.0])
    seen = jssl.compare(one, one)
    assert seen.largest == {"eigenvalues": 0.0, "loss": 0.0}
    np.testing.assert_allclose(seen.half_times_simulated, [4.0, 9.0], atol=1e-3)


def test_a_delay_is_measured_in_half_times():
    t = np.linspace(0, 30, 400)
    seen = jssl.compare(logistic(t, [4.0, 9.0]), logistic(t, [5.0, 9.5]))
    shift = seen.half_times_simulated - seen.half_times_predicted
    np.testing.assert_allclose(shift, [1.0, 0.5], atol=1e-3)
    assert seen.largest["eigenvalues"] > 0.2


def test_only_overlapping_times_are_compared():
    seen = jssl.compare(
        logistic(np.linspace(0, 10, 50), [4.0]), logistic(np.linspace(5, 20, 50), [4.0])
    )
    assert seen.t.min() >= 5
    assert seen.t.max() <= 10


@pytest.mark.parametrize("role", [0, 1])
def test_a_run_without_time_is_refused(role):
    pair = [logistic(np.linspace(0, 10, 50), [4.0])] * 2
    pair[role] = pair[role]._replace(t=None)
    with pytest.raises(InputError, match="gradient-flow time"):
        jssl.compare(*pair)
    with pytest.raises(InputError, match="gradient-flow time"):
        jssl.plot(*pair)


def test_nothing_in_common_is_refused():
    one = logistic(np.linspace(0, 10, 50), [4.0])
    with pytest.raises(InputError, match="no observable"):
        jssl.compare(one, one._replace(observables={"other": np.zeros(50)}))
    with pytest.raises(InputError, match="do not overlap"):
        jssl.compare(one, one._replace(t=np.linspace(90, 99, 50)))
    with pytest.raises(InputError, match="same problem"):
        jssl.compare(one, logistic(np.linspace(0, 10, 50), [4.0, 5.0]))


def test_a_batch_of_runs_is_refused():
    one = logistic(np.linspace(0, 10, 50), [4.0])
    with pytest.raises(InputError, match="compare one"):
        jssl.compare(one, one._replace(t=np.tile(one.t, (3, 1))))


def test_plot_draws_theory_dashed_over_simulation_solid():
    t = np.linspace(0.1, 20, 50)
    figure = jssl.plot(logistic(t, [4.0, 9.0]), logistic(t, [4.1, 9.1]), title="demo")
    styles = [line.get_linestyle() for line in figure.axes[0].lines]
    assert styles.count("--") == 2
    assert styles.count("-") == 2
    assert [ax.get_ylabel() for ax in figure.axes] == ["eigenvalues of C", "loss"]


def test_what_is_no_trajectory_is_refused():
    with pytest.raises(InputError, match="got str and NoneType"):
        jssl.compare("forecast", None)
