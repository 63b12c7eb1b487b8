import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jssl
from jssl.errors import InputError
from jssl.optim import gradient_descent
from jssl.simulation import is_finite, log_spaced_steps, run, simulate
from jssl.types import Model, Pairs, Problem, start_key


def linear_problem(optimiser=None, *, scale=0.3, pairs=None, loss=None):
    """Two-dimensional embeddings of five-dimensional Gaussian pairs, fresh at every step."""

    def fresh(key):
        shared, noise = jax.random.normal(key, (2, 16, 5))
        return Pairs(shared + 0.1 * noise, shared)

    def barlow(za, zb):
        c = (za.T @ zb + zb.T @ za) / (2 * za.shape[0])
        return jnp.sum((c - jnp.eye(2)) ** 2)

    model = Model(
        init=lambda key: scale * jax.random.normal(key, (2, 5)), apply=lambda w, x: x @ w.T
    )
    chosen = gradient_descent(0.02) if optimiser is None else optimiser
    return Problem(pairs or fresh, model, loss or barlow, chosen)


def by_hand(problem, key, steps):
    """The same run as a Python loop with the gradient worked out on paper (S-4)."""
    w = np.asarray(problem.model.init(start_key(key)))
    for k in range(steps):
        first, second, _ = problem.pairs(jax.random.fold_in(key, k))
        first, second = np.asarray(first), np.asarray(second)
        gamma = (first.T @ second + second.T @ first) / (2 * len(first))
        w = w - 0.02 * 4 * (w @ gamma @ w.T - np.eye(2)) @ w @ gamma
    return w


def test_advance_is_gradient_descent_with_step_keys():
    problem, key = linear_problem(), jax.random.key(3)
    simulation = simulate(problem)
    state, _ = simulation.advance(simulation.init(key), 7)
    np.testing.assert_allclose(state.params, by_hand(problem, key, 7), rtol=1e-12)
    assert int(state.step) == 7
    np.testing.assert_allclose(float(state.t), 0.14, rtol=1e-15)


def test_advancing_in_pieces_is_bit_equal_to_advancing_at_once():
    simulation = simulate(linear_problem())
    advance = jax.jit(simulation.advance)
    start = simulation.init(jax.random.key(0))
    once, _ = advance(start, 9)
    first, _ = advance(start, 4)
    twice, _ = advance(first, 5)
    np.testing.assert_array_equal(once.params, twice.params)
    assert float(once.t) == float(twice.t)


def test_run_records_exactly_the_asked_steps():
    problem, key = linear_problem(), jax.random.key(1)
    trajectory = jax.jit(run(problem, [0, 3, 10]))(key)
    simulation = simulate(problem)
    for index, steps in enumerate((0, 3, 10)):
        _, record = simulation.advance(simulation.init(key), steps)
        np.testing.assert_allclose(trajectory.observables["loss"][index], record["loss"], rtol=1e-9)
    np.testing.assert_allclose(trajectory.t, [0.0, 0.06, 0.2], rtol=1e-12)


def test_many_distances_between_records_are_one_program():
    traces = []

    def counted(za, zb):
        traces.append(1)
        return linear_problem().loss(za, zb)

    jax.jit(run(linear_problem(loss=counted), [0, 1, 5, 50]))(jax.random.key(0))
    assert len(traces) <= 3


def test_vmapped_seeds_agree_with_lone_runs():
    problem = linear_problem()
    keys = jax.random.split(jax.random.key(0), 4)
    together = jax.vmap(run(problem, [0, 20]))(keys)
    for index, key in enumerate(keys):
        alone = run(problem, [0, 20])(key)
        np.testing.assert_allclose(
            together.observables["eigenvalues"][index], alone.observables["eigenvalues"], rtol=1e-9
        )


def test_hyperparameters_may_be_tracers():
    def final_loss(learning_rate):
        problem = linear_problem(gradient_descent(learning_rate))
        return run(problem, [30])(jax.random.key(0)).observables["loss"][-1]

    rates = jnp.array([0.0, 0.02])
    losses = jax.vmap(final_loss)(rates)
    np.testing.assert_allclose(losses[1], final_loss(0.02), rtol=1e-9)
    assert losses[0] != losses[1]


def test_a_schedule_sums_its_learning_rates():
    schedule = optax.linear_schedule(0.1, 0.0, 10)
    trajectory = run(linear_problem(gradient_descent(schedule)), [0, 4])(jax.random.key(0))
    np.testing.assert_allclose(trajectory.t[-1], 0.1 + 0.09 + 0.08 + 0.07, rtol=1e-6)


@pytest.mark.parametrize("optimiser", [optax.sgd(0.02, momentum=0.9), optax.adam(0.02)])
def test_momentum_and_adam_have_no_time(optimiser):
    trajectory = run(linear_problem(optimiser), [0, 2])(jax.random.key(0))
    assert trajectory.t is None
    other = run(linear_problem(), [0, 2])(jax.random.key(0))
    with pytest.raises(InputError, match="no gradient-flow time"):
        jssl.compare(other, trajectory)


def test_a_diverged_seed_is_marked_and_costs_its_neighbours_nothing():
    problem = linear_problem()

    def from_scale(scale, key):
        model = problem.model._replace(init=lambda k: scale * problem.model.init(k))
        return run(problem._replace(model=model), [0, 40])(key)

    keys = jax.random.split(jax.random.key(0), 3)
    calm = jax.vmap(from_scale)(jnp.array([1.0, 1.0, 1.0]), keys)
    wild = jax.vmap(from_scale)(jnp.array([1.0, 1e3, 1.0]), keys)
    assert wild.first_bad_step[1] > 0
    assert wild.first_bad_step[0] == wild.first_bad_step[2] == -1
    for index in (0, 2):
        np.testing.assert_array_equal(
            calm.observables["loss"][index], wild.observables["loss"][index]
        )


def hidden(za, zb):
    """A loss that is finite whatever the embeddings are."""
    return jnp.nan_to_num(jnp.mean(za * zb), nan=1.0, posinf=1.0, neginf=1.0)


def test_a_run_on_nan_is_marked_at_its_first_step_though_the_loss_hides_it():
    x = jax.random.normal(jax.random.key(0), (2, 16, 5)).at[0, 5, 1].set(jnp.nan)
    problem = linear_problem(pairs=lambda key: Pairs(*x), loss=hidden)
    found = run(problem, [0, 1, 100])(jax.random.key(0))
    assert np.isfinite(found.observables["loss"]).all()
    assert int(found.first_bad_step) == 0


def test_a_run_is_marked_at_the_step_that_spoils_its_parameters():
    def spoil(step):
        return jnp.where(step == 6, jnp.nan, 0.0)

    rule = optax.chain(optax.sgd(0.02), optax.scale_by_schedule(lambda k: 1 + spoil(k)))
    found = run(linear_problem(rule, loss=hidden), [0, 5, 20])(jax.random.key(0))
    assert int(found.first_bad_step) == 6
    assert int(run(linear_problem(rule, loss=hidden), [0, 6])(jax.random.key(0)).first_bad_step) < 0


@pytest.mark.parametrize("steps", [[0], [0, 3]])
def test_a_start_that_is_not_finite_is_marked_at_step_0(steps):
    found = run(linear_problem(scale=jnp.inf, loss=hidden), steps)(jax.random.key(0))
    assert int(found.first_bad_step) == 0


@pytest.mark.float32
@pytest.mark.parametrize("rule", [gradient_descent, optax.adam])
def test_a_learning_rate_of_1e20_is_marked_though_the_loss_hides_it(rule):
    found = run(linear_problem(rule(1e20), loss=hidden), [0, 1, 3])(jax.random.key(0))
    assert np.isfinite(found.observables["loss"]).all()
    assert int(found.first_bad_step) == 0


@pytest.mark.parametrize(
    ("params", "finite"),
    [
        (jnp.array([1.0, -2.0]), True),
        (jnp.array([1.0, jnp.inf]), False),
        (jnp.full(10, 300.0, jnp.float16), True),  # whose squares overflow in float16
        (jnp.full(3, 2e19, jnp.float32), False),
        (jnp.array([1 + jnp.nan * 1j]), False),
        ({"count": jnp.array([2**31 - 1]), "key": jax.random.key(0), "none": None}, True),
        (2.0, True),
        ((), True),
    ],
)
def test_parameters_are_finite_where_their_squared_norm_is(params, finite):
    assert bool(is_finite(params)) is finite


def test_explicit_negatives_reach_the_loss():
    def triplet(za, zb, negatives):
        return jnp.mean(jnp.sum(za * (negatives - zb), axis=1))

    pairs = Pairs(*jax.random.normal(jax.random.key(0), (3, 8, 5)))
    problem = linear_problem(pairs=lambda key: pairs, loss=triplet)
    w = problem.model.init(start_key(jax.random.key(0)))
    expected = np.mean(
        np.sum((pairs.first @ w.T) * (pairs.negative @ w.T - pairs.second @ w.T), axis=1)
    )
    seen = run(problem, [0])(jax.random.key(0)).observables["loss"][0]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


@pytest.mark.float32
def test_a_run_lowers_for_every_platform():
    exported = jax.export.export(
        jax.jit(jax.vmap(run(linear_problem(), [0, 10]))), platforms=["cpu", "cuda", "tpu"]
    )(jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 3)))
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "f64" not in exported.mlir_module()


@pytest.mark.float32
def test_matrix_products_are_full_precision_unless_asked_otherwise():
    def lowered(**options):
        return str(jax.make_jaxpr(run(linear_problem(), [0, 1], **options))(jax.random.key(0)))

    assert "Precision.HIGHEST" in lowered()
    assert "Precision.HIGHEST" not in lowered(precision="bfloat16")


@pytest.mark.parametrize("steps", [[], [-1, 2], [0, 0], [3, 1], [0, 1.5], ["a"]])
def test_bad_record_points_are_refused(steps):
    with pytest.raises(InputError, match="record_steps"):
        run(linear_problem(), steps)


def test_log_spaced_steps_start_at_zero_and_end_at_last():
    steps = log_spaced_steps(5000, 40)
    assert steps[0] == 0
    assert steps[-1] == 5000
    assert np.all(np.diff(steps) > 0)
    with pytest.raises(InputError):
        log_spaced_steps(0, 10)
