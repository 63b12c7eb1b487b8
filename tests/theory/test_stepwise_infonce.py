import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import logsumexp, softmax

from jssl.errors import InputError
from jssl.theory.stepwise.infonce import infonce_expansion, infonce_growth

TEMPERATURE = 0.4


def views(seed=0, n=25, m=4):
    random = np.random.default_rng(seed)
    common, noise, other = random.normal(size=(3, n, m)) * np.array([1.5, 1.0, 0.7, 0.4])
    return [view - view.mean(0) for view in (common + 0.5 * noise, common + 0.5 * other)]


def infonce(za, zb, temperature=TEMPERATURE):
    scores = za @ zb.T / temperature
    return (logsumexp(scores, axis=1) - np.diag(scores)).mean()


def gradient(w, first, second):
    n = len(first)
    excess = softmax(first @ w.T @ w @ second.T / TEMPERATURE, axis=1) - np.eye(n)
    mixed = first.T @ excess @ second / (n * TEMPERATURE)
    return w @ (mixed + mixed.T)


def modes(first, second):
    cross = (first.T @ second + second.T @ first) / (2 * len(first))
    values, vectors = np.linalg.eigh(cross)
    return values[::-1], vectors[:, ::-1]


def test_the_expansion_is_right_to_fourth_order_in_the_embedding():
    za, zb = (view @ np.random.default_rng(1).normal(size=(4, 3)) for view in views())
    sizes = np.array([0.03, 0.015])
    errors = [
        infonce(size * za, size * zb)
        - float(infonce_expansion(size * za, size * zb, temperature=TEMPERATURE))
        for size in sizes
    ]
    # what remains is of order six: halving the embedding divides it by 64
    np.testing.assert_allclose(np.log2(errors[0] / errors[1]), 6, atol=0.3)


def test_centring_the_second_view_alone_is_free():
    za, zb = (0.05 * view[:, :2] for view in views())
    expansion = infonce_expansion(za, zb + 3.0, temperature=TEMPERATURE)
    np.testing.assert_allclose(expansion, infonce(za, zb + 3.0), atol=1e-6)
    assert abs(infonce(za + 3.0, zb) - infonce(za, zb)) > 1e-4


def test_the_oracle_descends_the_loss():
    first, second = views()
    random = np.random.default_rng(2)
    w, nudge = random.normal(size=(2, 2, 4)) * [[[0.5]], [[1e-6]]]
    ends = [infonce(first @ v.T, second @ v.T) for v in (w + nudge, w - nudge)]
    slope = (gradient(w, first, second) * nudge).sum()
    np.testing.assert_allclose((ends[0] - ends[1]) / 2, slope, rtol=1e-6)


def test_modes_grow_at_the_predicted_rates_under_the_flow():
    first, second = views()
    gamma, vectors = modes(first, second)
    start = 1e-7 * np.random.default_rng(3).normal(size=(2, 4))

    def velocity(_, flat):
        return -gradient(flat.reshape(2, 4), first, second).ravel()

    t = 0.2
    path = solve_ivp(velocity, (0, t), start.ravel(), method="DOP853", rtol=1e-12, atol=1e-22)
    end = path.y[:, -1].reshape(2, 4)
    sizes = [((w @ vectors) ** 2).sum(0) for w in (start, end)]
    seen = np.log(sizes[1] / sizes[0]) / t
    np.testing.assert_allclose(seen, infonce_growth(gamma, temperature=TEMPERATURE), rtol=1e-7)


@pytest.mark.parametrize("learning_rate", [1e-3, 0.05, 0.5])
def test_modes_grow_at_the_predicted_rates_under_descent(learning_rate):
    first, second = views()
    # without agreement between the views the slow modes would not grow: mix signs on purpose
    second = second * [1, 1, -1, 1]
    gamma, vectors = modes(first, second)
    start = w = 1e-9 * np.random.default_rng(4).normal(size=(2, 4))
    for _ in range(4):
        w = w - learning_rate * gradient(w, first, second)
    seen = np.log(((w @ vectors) ** 2).sum(0) / ((start @ vectors) ** 2).sum(0))
    rates = infonce_growth(gamma, temperature=TEMPERATURE, learning_rate=learning_rate)
    np.testing.assert_allclose(seen / (4 * learning_rate), rates, rtol=1e-7)
    assert gamma[-1] < 0
    # at the largest step the shrinking mode overshoots zero
    overshoots = 1 + 2 * learning_rate * gamma[-1] / TEMPERATURE < 0
    assert overshoots == (learning_rate == 0.5)


def test_descent_tends_to_the_flow_as_the_step_shrinks():
    gamma = jnp.array([1.0, 0.3, -0.4])
    flow = infonce_growth(gamma, temperature=0.5)
    np.testing.assert_allclose(flow, 4 * gamma / 0.5)
    for step in (0.0, 1e-300, 1e-12):
        found = infonce_growth(gamma, temperature=0.5, learning_rate=step)
        np.testing.assert_allclose(found, flow, rtol=1e-10)
    # across the join of series and logarithm
    for step in (2.49e-5, 2.51e-5):
        found = infonce_growth(gamma, temperature=0.5, learning_rate=step)
        expected = 2 / step * np.log1p(4 * step * np.asarray(gamma))
        np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_rates_are_differentiable_at_step_zero():
    def rate(step, temperature):
        return infonce_growth(jnp.array(0.7), temperature=temperature, learning_rate=step)

    slopes = jax.jit(jax.grad(rate, (0, 1)))(0.0, 0.5)
    # (2/h) log(1 + 2 h g / T) = 4 g / T - 4 h (g / T)^2 + ...
    np.testing.assert_allclose(slopes, (-4 * (0.7 / 0.5) ** 2, -4 * 0.7 / 0.25), rtol=1e-12)
    mapped = jax.vmap(rate, (0, None))(jnp.array([0.0, 0.1]), 0.5)
    assert mapped[1] < mapped[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: infonce_growth(jnp.ones(2), temperature=0.0), "temperature must be positive"),
        (
            lambda: infonce_growth(jnp.ones(2), temperature=1.0, learning_rate=-1.0),
            "learning_rate must be a number",
        ),
        (
            lambda: infonce_expansion(jnp.ones((3, 2)), jnp.ones((2, 2)), temperature=1.0),
            r"must be \(n, d\) of one shape",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
