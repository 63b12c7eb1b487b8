"""A prediction and a simulation of the same problem on the same time axis."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

from jssl.diagnostics.steps import half_times
from jssl.errors import InputError
from jssl.precision import float64
from jssl.types import Trajectory


class Comparison(NamedTuple):
    """A prediction and a simulation at common times, and their differences.

    Attributes:
        t: (points,) the simulation's times within the prediction's range.
        predicted: name -> (points, ...) prediction, interpolated to `t`.
        simulated: name -> (points, ...) simulation at `t`.
        largest: name -> largest absolute difference over all points and modes.
        half_times_predicted: (dim,) half times of the predicted eigenvalues, NaN if not reached.
        half_times_simulated: (dim,) half times of the simulated eigenvalues.
    """

    t: np.ndarray
    predicted: Mapping[str, np.ndarray]
    simulated: Mapping[str, np.ndarray]
    largest: Mapping[str, float]
    half_times_predicted: np.ndarray
    half_times_simulated: np.ndarray


class Predicted(Protocol):
    """A prediction that gives its trajectory at chosen steps, such as a forecast."""

    @property
    def learning_rate(self) -> float:
        """Time of one step."""
        ...

    def trajectory(self, steps: np.ndarray | None = None) -> Trajectory:
        """Return the prediction at the steps."""
        ...


def compare(prediction: Trajectory | Predicted, simulation: Trajectory) -> Comparison:
    """Compare a prediction with a simulation.

    Example:
        >>> t = np.linspace(0, 9, 10)
        >>> def trajectory(shift):
        ...     values = {"eigenvalues": 1 / (1 + np.exp(5 - t + shift))[:, None]}
        ...     return Trajectory(np.arange(10), t, values)
        >>> seen = compare(trajectory(0.0), trajectory(1.0))
        >>> print((seen.half_times_simulated - seen.half_times_predicted).round(1))
        [1.]

    Both are evaluated at the times of the simulation, the prediction by linear interpolation, so a
    prediction evaluated at those times is compared exactly. The learning rates may differ: the time
    is learning rate x step.

    Args:
        prediction: a Trajectory of one run (no batch axes), or the result of `jssl.predict`, whose
            eigenvalues of C are compared.
        simulation: with such a time; observables that both have are compared.

    Raises:
        InputError: if either has no gradient-flow time (momentum, Adam), if the time ranges do
            not overlap, or if there is nothing in common to compare.
    """
    if not hasattr(simulation, "observables") or not (
        isinstance(prediction, Trajectory) or hasattr(prediction, "trajectory")
    ):
        message = (
            "compare takes a Trajectory or a forecast, and the Trajectory of a simulation; got "
            f"{type(prediction).__name__} and {type(simulation).__name__}"
        )
        raise InputError(message)
    if not isinstance(prediction, Trajectory):
        steps = np.asarray(simulation.step)
        if (
            simulation.t is not None and np.ndim(simulation.t) == 1
        ):  # the same time, where the learning rate is another one
            steps = np.asarray(simulation.t) / prediction.learning_rate
        prediction = prediction.trajectory(steps)
    for role, trajectory in (("prediction", prediction), ("simulation", simulation)):
        if trajectory.t is None:
            message = (
                f"the {role} has no gradient-flow time, as under momentum or Adam; simulate under "
                "jssl.optim.gradient_descent to compare"
            )
            raise InputError(message)
        if np.ndim(trajectory.t) != 1:
            message = f"the {role} is a batch of shape {np.shape(trajectory.t)[:-1]}: compare one"
            raise InputError(message)
    t_predicted, t_simulated = np.asarray(prediction.t), np.asarray(simulation.t)
    inside = (t_simulated >= t_predicted[0]) & (t_simulated <= t_predicted[-1])
    names = [name for name in simulation.observables if name in prediction.observables]
    if not inside.any() or not names:
        what = "time ranges do not overlap" if names else "no observable is in both"
        message = f"nothing to compare: {what}"
        raise InputError(message)
    t = t_simulated[inside]
    predicted = {
        n: _interpolate(t, t_predicted, np.asarray(prediction.observables[n])) for n in names
    }
    simulated = {n: np.asarray(simulation.observables[n])[inside] for n in names}
    for name in names:
        if predicted[name].shape != simulated[name].shape:
            message = (
                f"'{name}' has shape {predicted[name].shape} in the prediction and "
                f"{simulated[name].shape} in the simulation: use the same problem for both"
            )
            raise InputError(message)
    largest = {n: float(np.max(np.abs(predicted[n] - simulated[n]))) for n in names}
    halves = [np.zeros(0), np.zeros(0)]
    if "eigenvalues" in names:
        final = predicted["eigenvalues"][-1]
        with float64():
            halves = [
                np.asarray(half_times(t, values["eigenvalues"], final))
                for values in (predicted, simulated)
            ]
    return Comparison(t, predicted, simulated, largest, *halves)


def _interpolate(t: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    columns = values.reshape(len(at), -1)
    out = np.stack([np.interp(t, at, column) for column in columns.T], axis=1)
    return out.reshape(t.shape + values.shape[1:])
