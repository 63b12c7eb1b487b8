"""The ridge probe against scikit-learn, and on collapsed embeddings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from jssl.diagnostics import knn_probe, ridge_probe
from jssl.errors import InputError

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(4, 6))
LABELS = RNG.integers(0, 4, 240)
Z = CENTRES[LABELS] + 0.9 * RNG.normal(size=(240, 6))


def test_probe_equals_ridge_regression_of_scikit_learn():
    """The accuracy is that of an independent fit, at a ridge that changes the answer."""
    train, test = slice(0, 60), slice(60, None)
    centred = Z[train] - Z[train].mean(0)
    found = []
    for ridge in (1e-6, 30.0):
        penalty = ridge * np.square(centred).sum() / 6
        fit = Ridge(alpha=penalty).fit(Z[train], np.eye(4)[LABELS[train]])
        expected = (fit.predict(Z[test]).argmax(1) == LABELS[test]).mean()
        found.append(ridge_probe(Z[train], LABELS[train], Z[test], LABELS[test], ridge=ridge))
        assert found[-1] == pytest.approx(expected, abs=1e-12)
    assert found[0] != found[1]


def test_scale_does_not_matter_and_a_collapsed_embedding_reads_as_collapsed():
    flat = Z @ np.diag([1.0, *[1e-7] * 5])
    full, scaled, collapsed, single = (
        float(ridge_probe(z, LABELS, z, LABELS)) for z in (Z, 1e6 * Z, flat, Z[:, :1])
    )
    assert full == scaled
    assert collapsed == single < full


def test_one_class_and_constant_embeddings_have_an_accuracy():
    zeros = np.zeros((5, 2))
    assert ridge_probe(zeros, np.zeros(5, int), zeros, np.zeros(5, int)) == 1
    assert ridge_probe(zeros, np.arange(5) % 2, zeros, np.arange(5) % 2) == pytest.approx(0.6)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="ridge"):
        ridge_probe(Z, LABELS, Z, LABELS, ridge=-1.0)
    with pytest.raises(InputError, match="both sets"):
        ridge_probe(Z, LABELS[1:], Z, LABELS)
    with pytest.raises(InputError, match="classes="):
        jax.jit(ridge_probe)(Z, LABELS, Z, LABELS)


@pytest.mark.parametrize("probe", [ridge_probe, lambda *a, **k: knn_probe(*a, neighbours=3, **k)])
def test_rows_without_a_label_do_not_vote_and_are_not_judged(probe):
    """Refused where they are seen; where they are traced, the number is that of the other rows."""
    some = np.where(np.arange(240) % 3 == 0, -1, LABELS)
    with pytest.raises(InputError, match="train_labels must be integers from 0; got -1"):
        probe(Z, some, Z, LABELS)
    with pytest.raises(InputError, match="test_labels must be integers from 0; got -1"):
        probe(Z, LABELS, Z, some)
    kept = some >= 0
    alone = probe(Z[kept], LABELS[kept], Z[kept], LABELS[kept], classes=4)
    traced = jax.jit(lambda y: probe(Z, y, Z, y, classes=4))(some)
    assert traced == pytest.approx(float(alone), abs=1e-12)


@pytest.mark.parametrize("probe", [ridge_probe, lambda *a, **k: knn_probe(*a, neighbours=3, **k)])
def test_labels_that_are_not_classes_are_refused(probe):
    for labels, says in (
        (LABELS.astype(float), "integers from 0; got float64"),
        (LABELS.astype(str), "integers from 0"),
        (LABELS.astype(object), "integers from 0"),
    ):
        with pytest.raises(InputError, match=says):
            probe(Z, labels, Z, LABELS)
    with pytest.raises(InputError, match="train_labels must be below the 2 classes; got 3"):
        probe(Z, LABELS, Z, LABELS, classes=2)


@pytest.mark.parametrize("dtype", [np.int8, np.float16, jnp.bfloat16])
def test_narrow_embeddings_and_labels_give_the_accuracy_of_their_values(dtype):
    narrow = (30 * Z).clip(-120, 120).astype(dtype)
    halves = [(narrow[a], LABELS[a]) for a in (slice(0, 120), slice(120, None))]
    for probe in (ridge_probe, knn_probe):
        wide = [(z.astype(float), y) for z, y in halves]
        given = [(z, y.astype(np.uint8)) for z, y in halves]
        expected = float(probe(*wide[0], *wide[1]))
        assert probe(*given[0], *given[1]) == pytest.approx(expected, abs=1e-6)
    two = LABELS > 1
    assert knn_probe(Z, two, Z, two) == knn_probe(Z, two.astype(int), Z, two.astype(int))


def test_constant_labels_inside_jit_tell_the_number_of_classes():
    inside = jax.jit(lambda z: ridge_probe(z, LABELS, z, LABELS))(Z)
    assert inside == ridge_probe(Z, LABELS, Z, LABELS)


def test_a_probe_of_what_is_not_finite_or_not_determined_is_nan_and_not_the_share_of_class_0():
    bad = Z.copy()
    bad[3, 2] = np.nan
    for probe in (ridge_probe, knn_probe):
        assert np.isnan(probe(bad, LABELS, Z, LABELS))
        assert np.isnan(probe(Z, LABELS, bad, LABELS))
    still = np.hstack([Z, np.zeros((240, 1))])
    assert np.isnan(ridge_probe(still, LABELS, still, LABELS, ridge=0.0))
    expected = ridge_probe(Z, LABELS, Z, LABELS, ridge=7e-3)  # the mean eigenvalue is 6/7 of Z's
    assert ridge_probe(still, LABELS, still, LABELS, ridge=7e-3 * 7 / 6) == expected


def test_labels_that_are_no_classes_are_refused():
    for labels in (LABELS - 1, LABELS.astype(float), LABELS.astype(str)):
        for probe in (ridge_probe, knn_probe):
            with pytest.raises(InputError, match="_labels must be"):
                probe(Z, labels, Z, LABELS)
    with pytest.raises(InputError, match="below the 3 classes; got 3"):
        knn_probe(Z, LABELS, Z, LABELS, classes=3)
