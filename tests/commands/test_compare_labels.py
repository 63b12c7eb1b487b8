"""Labels beside the embeddings in `jssl compare`, and those of samples where rows are tokens."""

import json

import numpy as np
import pytest

from jssl.commands import main as cli

RNG = np.random.default_rng(0)
A = RNG.normal(size=(60, 4))
B = A**2 + RNG.normal(size=(60, 4))
Y = np.arange(60) % 3
FLOATS = RNG.normal(size=60)
DIFFER = "The labels beside the embeddings differ"


@pytest.fixture
def report(tmp_path, monkeypatch, capsys):
    """Return a function from the arguments of a command to its report."""
    monkeypatch.chdir(tmp_path)
    np.savez("plain.npz", h=A, z=B)
    np.save("y.npy", Y)

    def run(*arguments):
        assert cli.run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refusal(report, capsys):
    """Return a function from the arguments of a command to the line that refuses them."""

    def run(*arguments):
        assert cli.run([*arguments, "--json"]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        return said.err

    return run


def about_labels(found):
    return [line for line in found["caveats"] if "labels" in line]


def names(found):
    return list(found["encoders"])


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (FLOATS, "which is not a class"),
        (np.zeros(60, int), "labels contain only one class, 0"),
        (np.full(60, np.nan), "labels contain no class"),
        (np.arange(59), "it is (59,) int64, for 60 rows"),
        (A, "it is (60, 4) float64, which is neither one column nor one-hot"),
        (np.arange(60) * 1j, "must be integers or strings"),
    ],
)
@pytest.mark.parametrize("name", ["labels", "targets"])
def test_labels_that_nobody_asked_for_stop_no_comparison(report, name, labels, why):
    np.savez("l.npz", h=A, z=B, **{name: labels})
    found = about_labels(report("compare", "l.npz"))
    assert [line for line in found if f"'{name}' of l.npz was not used as labels: " in line] == [
        line for line in found if why in line
    ]
    assert sum(why in line for line in found) == 1
    assert not any(DIFFER in line or "The labels are" in line for line in found)
    assert not any("was not used" in line for line in report("compare", "plain.npz")["caveats"])


def test_labels_of_another_file_are_the_only_ones_that_are_named(report):
    expected = report("compare", "plain.npz", "--labels", "y.npy")
    for beside in (Y[::-1], FLOATS, np.zeros(60)):
        np.savez("l.npz", h=A, z=B, labels=beside)
        found = report("compare", "l.npz", "--labels", "y.npy")
        assert (found["summary"], found["caveats"]) == (expected["summary"], expected["caveats"])
    np.savez("p.npz", z=A, labels=Y)
    np.savez("q.npz", z=B, labels=Y[::-1])
    found = about_labels(report("compare", "p.npz", "q.npz", "--labels", "p.npz"))
    assert found == ["The labels are 'labels' of p.npz."]


def test_labels_that_can_be_used_are_used_and_the_others_are_named(report):
    np.savez("p.npz", z=A, labels=Y)
    np.savez("q.npz", z=B, labels=FLOATS)
    np.savez("r.npz", z=A + B, labels=[*"abc"] * 20)
    np.savez("same.npz", z=A - B, labels=Y[:, None].astype(float))
    for files in (("p.npz", "q.npz"), ("q.npz", "p.npz")):
        found = report("compare", *files)
        assert "linear probe" in " ".join(found["summary"])
        used, unused = about_labels(found)
        assert used == "The labels are 'labels' of p.npz."
        assert unused.startswith("'labels' of q.npz was not used as labels: ")
    assert about_labels(report("compare", "p.npz", "same.npz")) == [
        "The labels are 'labels' of p.npz.",
        "The labels beside the other embeddings are equal.",
    ]
    found = report("compare", "p.npz", "r.npz")
    assert about_labels(found) == [f"{DIFFER} and were not used; pass --labels."]
    assert "linear probe" not in " ".join(found["summary"])


@pytest.mark.parametrize("labels", [Y[:, None], np.eye(3)[Y], np.eye(3, dtype=bool)[Y]])
@pytest.mark.parametrize("name", ["labels", "y"])
def test_labels_in_columns_are_labels_and_no_encoder(report, name, labels):
    np.savez("x.npz", h=A, z=B, **{name: labels})
    expected = report("compare", "plain.npz", "--labels", "y.npy")
    for arguments in ([], ["--label-key", name], ["--labels", "x.npz"]):
        found = report("compare", "x.npz", *arguments)
        assert names(found) == ["h", "z"]
        assert found["summary"] == expected["summary"]
    np.savez("one.npz", z=B, **{name: labels})
    one = report("diagnose", "one.npz")
    assert f"The labels are '{name}' of one.npz." in one["caveats"]
    np.savez("z.npz", z=B)
    assert one["summary"] == report("diagnose", "z.npz", "--labels", "y.npy")["summary"]
    assert one["summary"] == report("diagnose", "z.npz", "--labels", "one.npz")["summary"]


def test_embeddings_that_are_called_as_labels_stay_encoders(report):
    np.savez("x.npz", x=A, y=B)
    assert names(report("compare", "x.npz")) == ["x", "y"]


def test_a_key_chooses_labels_beside_the_embeddings(report, refusal):
    np.savez("l.npz", h=A, z=B, hot=np.eye(3)[Y])
    expected = report("compare", "plain.npz", "--labels", "y.npy")["summary"]
    found = report("compare", "l.npz", "--label-key", "hot")
    assert (names(found), found["summary"]) == (["h", "z"], expected)
    assert report("compare", "l.npz", "--labels", "y.npy")["summary"] != expected  # hot: an encoder
    np.savez("one.npz", z=B, hot=np.eye(3)[Y])
    np.savez("other.npz", h=A)
    found = report("compare", "other.npz", "one.npz", "--label-key", "hot")
    assert names(found) == ["other", "one"]
    np.savez("l.npz", h=A, z=B, labels=Y[::-1], group=Y, bad=FLOATS)
    found = report("compare", "l.npz", "--label-key", "group")
    assert found["summary"] == expected
    assert about_labels(found) == []
    assert "'bad' of l.npz was not used as labels: " in refusal(
        "compare", "l.npz", "--label-key", "bad"
    )
    assert "l.npz has no 'absent'; it holds" in refusal("compare", "l.npz", "--label-key", "absent")


def test_a_key_is_taken_from_the_files_that_hold_it(report, refusal):
    np.savez("p.npz", z=A, group=Y)
    np.save("q.npy", B)
    np.savez("r.npz", z=B, group=Y[::-1])
    expected = report("compare", "p.npz", "q.npy", "--labels", "p.npz", "--label-key", "group")
    found = report("compare", "p.npz", "q.npy", "--label-key", "group")
    assert found["summary"] == expected["summary"]
    assert any("q.npy has no 'group'" in line for line in found["caveats"])
    said = refusal("compare", "p.npz", "r.npz", "--label-key", "group")
    assert "differ; pass --labels" in said


@pytest.mark.parametrize("each", [Y, Y[:, None], np.eye(3)[Y], np.array([*"abc"])[Y]])
def test_labels_of_samples_and_of_tokens_are_used_from_beside_and_from_a_file(report, each):
    tokens = {"h": np.stack([A, A + B], 1), "z": np.stack([B, A * B], 1)}
    np.savez("plain.npz", **tokens)
    np.savez("one.npz", z=tokens["z"])
    said = "Each of the 60 labels counts for all tokens of its sample."
    for command, file in (("compare", "plain.npz"), ("diagnose", "one.npz")):
        for labels in (each, np.repeat(each, 2, axis=0)):
            np.savez(f"l-{file}", **np.load(file), labels=labels)
            np.save(
                "y.npy",
                labels
                if labels.ndim < 2
                else labels.argmax(1)
                if len(labels[0]) > 1
                else labels[:, 0],
            )
            beside = report(command, f"l-{file}", "--pool", "none")
            other = report(command, file, "--pool", "none", "--labels", "y.npy")
            assert beside["summary"] == other["summary"]
            assert "probe" in " ".join(beside["summary"])
            for found in (beside, other):
                assert found["caveats"].count(said) == (len(labels) == 60)


def test_labels_that_fit_one_layer_are_not_said_to_be_unused(report):
    tokens = np.stack([A, A + B], 1)
    np.savez("l.npz", h=tokens, z=tokens.reshape(-1, 4) ** 3, labels=Y)
    assert about_labels(report("compare", "l.npz", "--pool", "none")) == [
        "The labels are 'labels' of l.npz.",
        "Each of the 60 labels counts for all tokens of its sample.",
    ]


def test_tokens_of_one_sample_stay_together_in_a_comparison(report):
    """As `jssl diagnose`: random labels of samples are not found from their other tokens."""
    base = RNG.normal(size=(60, 1, 4))
    tokens = base + 0.1 * RNG.normal(size=(60, 5, 4))
    np.savez("t.npz", h=tokens, z=tokens**3)
    np.save("random.npy", RNG.integers(0, 2, 60))
    options = ("--pool", "none", "--labels", "random.npy")
    alone = report("diagnose", "t.npz", "--key", "h", *options)
    both = report("compare", "t.npz", *options)
    value = next(m["value"] for name, m in alone["metrics"].items() if "linear probe" in name)
    assert any(f"h {value:.3f} ±" in line for line in both["summary"] if "linear probe" in line)


def test_labels_of_tokens_that_do_not_fit_are_counted_in_samples(report):
    np.savez("t.npz", z=np.stack([A, B], 1), labels=np.arange(59))
    caveats = report("diagnose", "t.npz", "--pool", "none")["caveats"]
    assert (
        "'labels' of t.npz was not used as labels: "
        "it is (59,) int64, for 60 samples of 2 tokens each." in caveats
    )
