"""Losses without a minimum are found and their direction is named; those with one keep it."""

import re

import jax.numpy as jnp
import numpy as np
import pytest
from landscape_oracles import best_of, quartic

from jssl.errors import InputError
from jssl.theory import landscape

RNG = np.random.default_rng(12)
TURN = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
SIGMA = np.diag([1.0, 0.5, 0.0, 0.0])


def problem(block, coupling):
    """Return B and Sigma, turned: Sigma vanishes on two directions, B is `block` there."""
    b = np.zeros((4, 4))
    b[:2, :2] = [[0.8, 0.1], [0.1, -0.3]]
    b[2:, 2:], b[2:, :2], b[:2, 2:] = block, coupling, np.transpose(coupling)
    return TURN @ b @ TURN.T, TURN @ SIGMA @ TURN.T


UNBOUNDED = {
    "a positive block": (np.diag([0.2, -1.0]), np.zeros((2, 2)), "is positive"),
    "an indefinite block": ([[0.0, 0.3], [0.3, 0.0]], np.zeros((2, 2)), "is positive"),
    "no block but a coupling": (np.zeros((2, 2)), [[0.1, 0.0], [0.0, 0.0]], "couples"),
    "a coupling off the block's range": (np.diag([0.0, -1.0]), [[0.1, 0.2], [0.3, 0.4]], "couples"),
}


def named_direction(error, b, sigma):
    """Return the direction of the message, with the digits that it rounds off put back."""
    inside = re.search(r"direction \((.*?)\),", str(error.value)).group(1)
    rounded = np.array([float(x) for x in inside.split(",")])
    flat = np.linalg.eigh(sigma)[1][:, :2]
    values, axes = np.linalg.eigh(flat.T @ b @ flat)
    kept = flat @ axes[:, values > -1e-9]
    exact = kept @ kept.T @ rounded
    np.testing.assert_allclose(exact, rounded, atol=2e-3)
    return exact


@pytest.mark.parametrize("case", UNBOUNDED)
@pytest.mark.parametrize("dim", [1, 3])
def test_the_loss_falls_without_bound_along_the_direction_named(case, dim):
    block, coupling, reason = UNBOUNDED[case]
    b, sigma = problem(np.asarray(block, float), np.asarray(coupling))
    with pytest.raises(InputError, match=f"no minimum: .* B {reason}") as caught:
        landscape.from_moments(b, sigma, 0.5, dim=dim)
    assert "\n" not in str(caught.value)
    v = named_direction(caught, b, sigma)
    loss = quartic(b, sigma, sigma, 0.5, 0.0, 1)
    pull = 1e-3 * b @ v  # 0 up to rounding where the block is positive
    losses = [loss(pull + k * v)[0] for k in (0, 1e3, 1e5, 1e7)]
    assert losses[0] > losses[1] > losses[2] > losses[3]
    assert losses[3] < -1


BOUNDED = {
    "a negative block": (np.diag([-0.2, -1.0]), [[0.1, 0.2], [0.3, -0.4]], 0),
    "a coupling in the block's range": (np.diag([0.0, -1.0]), [[0.0, 0.0], [0.3, 0.4]], 1),
    "nothing there": (np.zeros((2, 2)), np.zeros((2, 2)), 2),
    "a coupling of rounding": (np.zeros((2, 2)), 1e-15 * np.ones((2, 2)), 2),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_losses_with_a_minimum_keep_it_and_flat_dimensions_are_said(case):
    block, coupling, flat = BOUNDED[case]
    b, sigma = problem(block, np.asarray(coupling))
    seen = landscape.from_moments(b, sigma, 0.5, dim=2)
    value, _ = best_of(quartic(b, sigma, sigma, 0.5, 0.0, 2), RNG.standard_normal((4, 8)))
    np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-7)
    np.testing.assert_allclose(seen.loss(seen.minima.weight), value, rtol=1e-7)
    assert seen.minima.isolated == (flat == 0)
    assert any(f"does not depend on {flat} dimensions" in r for r in seen.caveats) == bool(flat)


def test_weight_decay_gives_every_loss_a_minimum():
    """The rounding of B and Sigma does not: decay far above it does."""
    for block, coupling, _ in UNBOUNDED.values():
        b, sigma = problem(np.asarray(block, float), np.asarray(coupling))
        seen = landscape.from_moments(b, sigma, 0.5, dim=2, weight_decay=0.5)
        loss = quartic(b - 0.5 * np.eye(4), sigma, sigma, 0.5, 0.0, 2)
        value, _ = best_of(loss, RNG.standard_normal((6, 8)))
        np.testing.assert_allclose(seen.minima.loss, value, rtol=1e-6, atol=1e-9)


def test_the_stated_example_names_its_direction():
    """L(W) = -w1^2 - w1 w2 + w1^4 / 2, so at w1 = 1 it is -1/2 - w2."""
    with pytest.raises(InputError, match=r"input direction \(0, 1\), .* couples") as caught:
        landscape.from_moments([[1.0, 0.5], [0.5, 0.0]], [1.0, 0.0], 0.5, dim=1)
    assert "weight decay" in str(caught.value)


def test_directions_of_many_inputs_are_named_by_their_largest_entries():
    signal = np.diag(np.r_[np.ones(10), 0.0])
    signal[10, 0] = signal[0, 10] = 0.1
    with pytest.raises(InputError, match="direction with entries 1 at 10, where"):
        landscape.from_moments(signal, np.r_[np.ones(10), 0.0], dim=1)


@pytest.mark.parametrize("commuting", [True, False])
def test_two_covariances_without_a_minimum_are_found(commuting):
    """Clean negatives without alignment: noise where the data vanish is pulled and not opposed."""
    data = np.diag([1.0, 0.5, 0.0])
    noise = np.diag([0.1, 0.2, 0.3])
    if not commuting:
        noise = noise + 0.05
    options = {"placement": "augmented-augmented-clean", "alignment": 0.0, "dim": 2}
    with pytest.raises(InputError, match=r"input direction \(0, 0, 1\)"):
        landscape.from_loss("info_nce_euclidean", data, noise, **options)
    kept = landscape.from_loss("info_nce_euclidean", data, noise, **options | {"alignment": 1.0})
    assert np.isfinite(kept.minima.loss)


def test_a_search_that_diverges_is_no_minimum():
    """Where nothing is known beforehand, minimisation tells."""
    data, noise = np.diag([1.0, 0.5, 0.0]), np.diag([0.1, 0.2, 0.3]) + 0.05
    form = landscape.form(
        "info_nce_euclidean", data, noise, placement="augmented-augmented-clean", alignment=0.0
    )
    with pytest.raises(InputError, match="minimisation fell below"):
        landscape.calculator._search(form, 2)


@pytest.mark.parametrize("loss", landscape.LOSSES)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_data_without_variance_collapse(loss, noise):
    seen = landscape.from_loss(loss, [0.0, 0.0], noise, dim=2)
    assert seen.rank == 0
    assert not np.any(seen.minima.gram)
    assert np.isfinite(seen.minima.loss)


def test_a_zero_form_has_its_modes_masks_and_flow():
    form = landscape.general_form([0.0, -1.0], [0.0, 0.0])
    modes = landscape.decouple(form)
    assert (len(modes.strength), modes.outside, modes.flat) == (0, 2, 1)
    assert [mask.tolist() for mask in landscape.masks(modes, 2)] == [[]]
    assert landscape.hessian_spectrum(modes, [], 1).shape == (0,)
    path = landscape.trajectory(form, jnp.ones((1, 2)), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(path.observables["weight"][1], [[1.0, np.exp(-2.0)]])


def test_rounding_of_a_singular_covariance_is_no_mode():
    """A turned projector vanishes up to 1e-17 only, of either sign."""
    spread = TURN @ np.diag([1.0, 0.4, 0.0, 0.0]) @ TURN.T
    seen = landscape.from_loss(
        "info_nce_dot", spread, 0.2 * spread, placement="clean-augmented-augmented", dim=4
    )
    assert seen.rank == 2
    assert np.abs(seen.minima.weight).max() < 10
    assert seen.modes.flat == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: landscape.from_moments([1.0, np.nan], [1.0, 1.0], dim=1), "not finite"),
        (lambda: landscape.from_moments([1.0], [1.0], np.inf, dim=1), "quartic must be"),
        (lambda: landscape.from_loss("info_nce_dot", [1.0], temperature=np.inf, dim=1), "finite"),
        (lambda: landscape.augmentation_thresholds(np.eye(2), -np.eye(2)), "semi-definite"),
        (lambda: landscape.augmentation_thresholds(np.eye(2), np.nan * np.eye(2)), "not finite"),
        (lambda: landscape.augmentation_thresholds(np.eye(2), np.eye(3)), "dimension"),
        (lambda: landscape.class_variances([0.5, 0.5], 0.0), "radius must be"),
        (lambda: landscape.class_covariance([0.5, 0.5], np.nan), "radius must be"),
        (
            lambda: landscape.collapsing_augmentation([1.0, 0.4], jnp.array([[np.nan], [1.0]])),
            "finite and linearly independent",
        ),
        (
            lambda: landscape.collapsing_augmentation([1.0, 0.4, 0.2], jnp.ones((3, 2))),
            "linearly independent",
        ),
    ],
)
def test_numbers_that_state_no_landscape_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
