"""The types of jssl: Pairs, Model, Problem, State, Simulation, Trajectory, Claim, Rival.

All are NamedTuples. `Pairs`, `State` and `Trajectory` are pytrees of arrays, which may be mapped,
stored and passed through jit. `Model`, `Problem` and `Simulation` contain pure functions; they are
built inside the trace and never passed as arguments of jit.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import jax

Array = jax.Array
Params = Any
"""Any pytree of arrays."""


class Pairs(NamedTuple):
    """A batch of positive pairs: two views of the same n samples.

    Attributes:
        first: (n, ...) first views.
        second: (n, ...) second views, row i belonging to row i of `first`.
        negative: (n, ...) explicit negatives, or None where negatives come from the batch.
    """

    first: Array
    second: Array
    negative: Array | None = None


class Model(NamedTuple):
    """An encoder as a pair of pure functions, with its infinite-width kernel where it has one.

    Attributes:
        init: `init(key) -> params`.
        apply: `apply(params, x) -> z` with x (n, ...) and z (n, dim).
        kernel: `kernel(x1, x2) -> (nngp, ntk)` of the same architecture at infinite width,
            each (n1, n2); None where no such limit exists.
        no_kernel: the reason why `kernel` is None; otherwise empty.
    """

    init: Callable[[Array], Params]
    apply: Callable[[Params, Array], Array]
    kernel: Callable[[Array, Array], tuple[Array, Array]] | None = None
    no_kernel: str = ""


class Problem(NamedTuple):
    """A problem of self-supervised learning, for theory and simulation.

    Attributes:
        pairs: `pairs(key) -> Pairs`, pure; a fixed set of pairs ignores its key.
        model: the encoder.
        loss: `loss(za, zb) -> scalar` on two (n, dim) embeddings.
        optimiser: an optax transformation. One with an attribute `learning_rate` is plain
            gradient descent, so a run under it has a gradient-flow time
            (`jssl.optim.gradient_descent`); a run under any other has steps only.
        objective: `objective(params, pairs, key) -> scalar` where the objective is not a function
            of the two embeddings only (predictors, target networks, supervision); None for
            `loss(apply(params, first), apply(params, second))`.
    """

    pairs: Callable[[Array], Pairs]
    model: Model
    loss: Callable[[Array, Array], Array]
    optimiser: Any
    objective: Callable[[Params, Pairs, Array], Array] | None = None


class State(NamedTuple):
    """The state of a simulation between steps.

    Attributes:
        params: parameters of the model.
        opt_state: state of the optimiser.
        key: the run's typed key; step k draws from `fold_in(key, k)`.
        step: number of steps taken, int32.
        t: effective time, the sum of the learning rates so far; NaN where there is none.
        first_bad_step: the first step whose loss, or whose parameters afterwards, were not finite
            (`jssl.simulation.is_finite`), -1 if none.
    """

    params: Params
    opt_state: Any
    key: Array
    step: Array
    t: Array
    first_bad_step: Array


class Simulation(NamedTuple):
    """The two pure functions that every run is built from.

    Attributes:
        init: `init(key) -> State`.
        advance: `advance(state, steps) -> (state, record)`; `steps` may be traced, `record` is
            the dictionary of observables after the last of them.
    """

    init: Callable[[Array], State]
    advance: Callable[[State, Any], tuple[State, dict[str, Array]]]


class Trajectory(NamedTuple):
    """A prediction or a simulation: observables along one time axis.

    Attributes:
        step: (..., points) steps taken.
        t: (..., points) effective time, the sum of the learning rates of plain gradient descent
            on the mean loss; None where there is no gradient-flow time (momentum, Adam).
        observables: name -> (..., points, ...) values at the record points.
        first_bad_step: (...) first step whose loss or parameters were not finite, -1 if none; None
            for a theory.
    """

    step: Array
    t: Array | None
    observables: Mapping[str, Array]
    first_bad_step: Array | None = None


def start_key(key: Array) -> Array:
    """Return the key that draws the initial parameters of the run `key`.

    Step k of a run draws from `fold_in(key, k)`; the start has an index that no step reaches.
    Theory and simulation with the same run key therefore have the same initial parameters.
    """
    return jax.random.fold_in(key, 0xFFFF_FFFF)


class Rival(NamedTuple):
    """Another theory of the quantity that a claim measures; the claim holds only if it is excluded.

    Attributes:
        name: the other theory, in a few words.
        value: what it predicts for the measured quantity. Where the claim bounds an error, the
            error of the other theory.
    """

    name: str
    value: float


Verdict = Literal["holds", "undecided", "fails"]


class Claim(NamedTuple):
    """A statement of a paper and the result of its test.

    Attributes:
        name: short and unique, `paper/what`.
        statement: the sentence that is tested, in at most 25 words.
        source: paper and equation or figure. It begins with "Beyond", "Derived here" or
            "Requirement of jssl" if the claim is not made in a paper.
        predicted: value that theory predicts.
        measured: value in the simulation.
        tolerance: largest allowed difference; it follows from theory and is decided before the run.
        verdict: `holds` if the measurement agrees with the prediction and excludes every rival,
            `undecided` if it agrees but does not exclude them, `fails` if it does not agree.
        relation: how the two are compared: `=` (within the tolerance), `<=` or `>=`
            (measured against predicted, the tolerance being slack).
        details: where the tolerance comes from, sizes and settings; may be empty.
        rivals: other theories of the measured quantity.
        standard_error: of the difference of measurement and prediction, where both or one of them
            are random; None for a deterministic claim.
    """

    name: str
    statement: str
    source: str
    predicted: float
    measured: float
    tolerance: float
    verdict: Verdict
    relation: str = "="
    details: str = ""
    rivals: tuple[Rival, ...] = ()
    standard_error: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the claim holds; an undecided claim does not pass."""
        return self.verdict == "holds"
