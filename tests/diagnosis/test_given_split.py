"""Probes on a given split: fitted on one set of files, tested on another."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import jssl
from jssl.commands import main as cli
from jssl.diagnosis.given_split import Split
from jssl.errors import InputError

RNG = np.random.default_rng(0)
LABELS = np.arange(300) % 3
NAMES = np.array(["cat", "dog", "owl"])[LABELS]
Z = RNG.normal(size=(300, 5)) * np.array([1, 2, 3, 1, 1]) + np.eye(5)[LABELS]
TRAIN, TEST = (slice(0, 200), slice(200, 300))


def test_both_probes_are_those_of_scikit_learn_on_the_split():
    seen = jssl.diagnose(Z, split=Split(Z[TRAIN], NAMES[TRAIN], Z[TEST], NAMES[TEST]))
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    nearest = KNeighborsClassifier(20).fit(unit[TRAIN], LABELS[TRAIN])
    scaler = StandardScaler().fit(Z[TRAIN])
    linear = LogisticRegression(max_iter=1000).fit(scaler.transform(Z[TRAIN]), LABELS[TRAIN])
    found = [m.value for name, m in seen.metrics.items() if name.endswith("train to test")]
    expected = linear.score(scaler.transform(Z[TEST]), LABELS[TEST])
    assert found[0] == pytest.approx(nearest.score(unit[TEST], LABELS[TEST]), abs=0.03)  # ties
    assert found[1] == pytest.approx(expected, abs=0.011)  # one row of a hundred
    assert "On the given split" in str(seen)


def test_classes_that_were_not_fitted_count_as_wrong_and_are_said():
    names = NAMES[TEST].copy()
    names[:10] = "fox"
    seen = jssl.diagnose(Z, split=Split(Z[TRAIN], NAMES[TRAIN], Z[TEST], names))
    assert any("10 test rows have a class that no train row has" in c for c in seen.caveats)
    with pytest.raises(InputError, match="no class in common"):
        jssl.diagnose(Z, split=Split(Z[TRAIN], NAMES[TRAIN], Z[TEST], LABELS[TEST]))
    with pytest.raises(InputError, match="test has 4 dimensions, the embeddings 5"):
        jssl.diagnose(Z, split=Split(Z[TRAIN], NAMES[TRAIN], Z[TEST, :4], NAMES[TEST]))


def test_the_command_takes_a_test_set_and_a_train_set(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.savez("train.npz", embeddings=Z[TRAIN], labels=NAMES[TRAIN])
    np.savez("test.npz", embeddings=Z[TEST], labels=NAMES[TEST])
    np.save("plain.npy", Z[TEST])
    np.save("names.npy", NAMES[TEST])
    expected = jssl.diagnose(
        Z[TRAIN], NAMES[TRAIN], split=Split(Z[TRAIN], NAMES[TRAIN], Z[TEST], NAMES[TEST])
    )
    for i, options in enumerate(
        (["--test", "test.npz"], ["--test", "plain.npy", "--test-labels", "names.npy"])
    ):
        assert cli.run(["diagnose", "train.npz", *options, "--out", f"out{i}"]) == 0
        assert expected.summary[-1] in capsys.readouterr().out
    arguments = ["--train", "train.npz", "--test", "test.npz", "--out", "out"]
    assert cli.run(["diagnose", "plain.npy", *arguments]) == 0
    assert expected.summary[-1] in capsys.readouterr().out
    for options, says in (
        (["--test", "plain.npy"], "test has no labels; pass --test-labels"),
        (["--train", "train.npz"], "--train needs --test"),
    ):
        assert cli.run(["diagnose", "train.npz", *options, "--out", "bad"]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_copies_of_train_rows_among_the_test_rows_are_named(noise):
    draws = np.random.default_rng(3)
    samples, labels = draws.normal(size=(150, 16)), draws.integers(0, 5, 150)
    several = np.repeat(samples, 6, 0)
    train = several + noise * draws.normal(size=several.shape)
    test = samples + noise * draws.normal(size=samples.shape)
    split = Split(train, np.repeat(labels, 6), test, labels)
    caveats = jssl.diagnose(train, split=split).caveats
    assert any("150 of 150 test rows" in line and "near-duplicates" in line for line in caveats)


def test_a_split_of_separate_samples_of_tight_classes_has_no_copies():
    draws = np.random.default_rng(4)
    labels = draws.integers(0, 5, 900)
    z = 3 * draws.normal(size=(5, 16))[labels] + draws.normal(size=(900, 16))
    caveats = jssl.diagnose(z, split=Split(z[:600], labels[:600], z[600:], labels[600:])).caveats
    assert not any("near-duplicates" in line for line in caveats)


def test_the_error_on_a_given_split_counts_samples_and_not_their_tokens():
    draws = np.random.default_rng(6)
    train, labels = draws.normal(size=(200, 16)), draws.integers(0, 4, 200)
    samples = np.repeat(np.arange(40), 10)
    test = draws.normal(size=(40, 16))[samples] + 0.3 * draws.normal(size=(400, 16))
    classes = draws.integers(0, 4, 40)[samples]
    rows, grouped = (
        jssl.diagnose(train, split=Split(train, labels, test, classes, numbers)).metrics
        for numbers in (None, samples)
    )
    name = "linear probe accuracy, train to test"
    assert rows[name].value == grouped[name].value
    assert grouped[name].error == pytest.approx(10**0.5 * rows[name].error, rel=0.15)
