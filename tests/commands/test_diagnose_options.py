"""Options of `jssl diagnose` without what they belong to, and what a report says was read."""

import json

import numpy as np
import pytest

import jssl
from jssl.commands import main as cli

Z = np.random.default_rng(0).normal(size=(40, 4))
LABELS = np.arange(40) % 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", Z)
    np.save("y.npy", LABELS)
    np.save("tokens.npy", np.stack([Z, Z + 1], 1))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--train", "z.npy"], "--train needs --test"),
        (["--test-labels", "y.npy"], "--test-labels needs --test"),
        (["--train-labels", "y.npy"], "--train-labels needs --train"),
        (["--checkpoint-views", "z.npy"], "--checkpoint-views needs --checkpoints"),
        (["--pool", "mean"], "--pool mean is for (n, tokens, dim)"),
        (["--pool", "cls", "--checkpoints", "z.npy"], "--pool cls is for (n, tokens, dim)"),
    ],
)
def test_an_option_without_its_partner_is_one_line_and_status_2(folder, capsys, arguments, says):
    assert cli.run(["diagnose", "z.npy", *arguments, "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert says in seen.err
    assert seen.err.count("\n") == 1
    assert not (folder / "out").exists()


@pytest.mark.parametrize("command", [["diagnose"], ["compare", "tokens.npy"]])
def test_overwrite_with_json_and_without_a_folder_is_one_line(folder, capsys, command):
    pooled = [*command, "tokens.npy", "--pool", "mean", "--json"]
    assert cli.run([*pooled, "--overwrite"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.endswith(
        ": --json writes no report without --out; add --out, or leave --overwrite out\n"
    )


def test_a_comparison_of_rows_has_nothing_to_pool_and_one_with_tokens_has(folder, capsys):
    np.save("other.npy", 2 * Z)
    assert cli.run(["compare", "z.npy", "other.npy", "--pool", "mean", "--out", "out"]) == 2
    assert "--pool mean is for (n, tokens, dim)" in capsys.readouterr().err
    assert not (folder / "out").exists()
    assert cli.run(["compare", "z.npy", "tokens.npy", "--pool", "mean", "--out", "out"]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("option", ["--views", "--checkpoints"])
def test_pool_is_for_any_file_that_holds_tokens(folder, capsys, option):
    arguments = ["diagnose", "z.npy", option, "tokens.npy", "--pool", "mean", "--out", "out"]
    assert cli.run(arguments) == 0
    capsys.readouterr()


def test_a_report_names_the_array_that_was_read(folder, capsys):
    np.savez("z.npz", X=Z, weight=np.ones(40), labels=LABELS[:39])
    assert cli.run(["diagnose", "z.npz", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["settings"]["key"] == "X"
    assert "The embeddings are 'X' of z.npz." in report["caveats"]
    assert any("'labels' of z.npz was not used as labels" in line for line in report["caveats"])


def test_a_report_says_that_the_header_of_labels_was_left_out(folder, capsys):
    (folder / "y.csv").write_text("\n".join(["species", *np.array(["a", "b"])[LABELS]]))
    assert cli.run(["diagnose", "z.npy", "--labels", "y.csv", "--json"]) == 0
    caveats = json.loads(capsys.readouterr().out)["caveats"]
    assert any("'species', is a header" in line for line in caveats)


def test_rows_near_one_point_are_named_alike_everywhere(tmp_path, capsys):
    z = np.random.default_rng(0).normal(size=(200, 16))
    np.save(tmp_path / "near.npy", z + 100)
    arguments = ["diagnose", str(tmp_path / "near.npy"), "--json", "--fail-on", "collapse"]
    assert cli.run(arguments) == 3
    printed = capsys.readouterr()
    page = json.loads(printed.out)
    assert page["verdict"]["state"] == "near one point"
    assert page["verdict"]["kind"] == "none"
    assert page["summary"][0].startswith("Near one point")
    assert "rows near one point, exit status 3" in printed.err
    assert page["settings"]["near one point"] == "variance at most 0.005 of the mean square"
    seen = jssl.diagnose(z + 100, checkpoints={"1": z, "2": z + 100, "3": z})
    assert seen.history.kinds == ("none", "near one point", "none")
    assert any("Collapse (near one point) begins at checkpoint 2" in s for s in seen.summary)
    assert seen.metrics()["variance_over_mean_square"] == pytest.approx(1e-4, rel=0.1)


def test_compare_refuses_weights_and_options_without_their_partner(tmp_path, capsys):
    weights = {"0.weight": np.ones((64, 32)), "1.weight": np.ones((64, 64))}
    np.savez(tmp_path / "model.npz", **weights)
    assert cli.run(["compare", str(tmp_path / "model.npz")]) == 2
    assert "holds the weights of a model" in capsys.readouterr().err
    np.savez(tmp_path / "a.npz", h=np.eye(9), z=np.eye(9))
    assert cli.run(["compare", str(tmp_path / "a.npz"), "--label-key", "y"]) == 2
    assert "a.npz has no 'y'; it holds h (9, 9)" in capsys.readouterr().err


def test_each_token_may_be_a_row_without_labels_and_with_those_of_samples(folder, capsys):
    """As the same rows by themselves; a label of a sample counts for its tokens."""
    arguments = ["diagnose", "tokens.npy", "--pool", "none", "--json"]
    assert cli.run(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    np.save("rows.npy", np.load("tokens.npy").reshape(-1, Z.shape[1]))
    np.save("each.npy", np.repeat(LABELS, 2))
    assert cli.run(["diagnose", "rows.npy", "--json"]) == 0
    assert found["summary"] == json.loads(capsys.readouterr().out)["summary"]
    np.save("of_samples.npy", LABELS)
    reports = []
    for labels in ("of_samples.npy", "each.npy"):
        assert cli.run([*arguments, "--labels", labels]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0]["summary"] == reports[1]["summary"]
    said = f"Each of the {len(LABELS)} labels counts for all tokens of its sample."
    assert [said in report["caveats"] for report in reports] == [True, False]


def test_a_test_set_without_labels_of_the_embeddings_asks_for_them(folder, capsys):
    arguments = ["diagnose", "z.npy", "--test", "z.npy", "--test-labels", "y.npy", "--json"]
    np.save("y.npy", LABELS)
    assert cli.run(arguments) == 2
    assert (
        "fitted on the embeddings, which have no labels; pass --labels" in capsys.readouterr().err
    )
    assert cli.run([*arguments, "--labels", "y.npy"]) == 0
    capsys.readouterr()


def test_a_choice_that_is_not_known_names_each_choice_once(folder, capsys):
    with pytest.raises(SystemExit):
        cli.run(["diagnose", "z.npy", "--pool", "max"])
    error = capsys.readouterr().err
    assert "'mean'" in error
    assert "None" not in error


def test_tokens_that_are_not_finite_are_one_line_without_warnings(folder, capsys):
    tokens = np.ones((9, 2, 4), np.float16)
    tokens[3, 0, 1], tokens[3, 1, 1] = np.inf, -np.inf
    np.save("bad.npy", tokens)
    assert cli.run(["diagnose", "bad.npy", "--pool", "mean", "--json"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_comparison_without_files_of_constants_and_with_labels_beside_them(folder, capsys):
    assert cli.run(["compare"]) == 2
    assert capsys.readouterr().err.endswith("encoders or layers; name their files\n")
    np.savez("layers.npz", a=Z, b=Z**2, labels=LABELS)
    np.savez("plain.npz", a=Z, b=Z**2)
    np.save("y.npy", LABELS)
    reports = []
    for arguments in (["layers.npz"], ["plain.npz", "--labels", "y.npy"]):
        assert cli.run(["compare", *arguments, "--json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0]["summary"] == reports[1]["summary"]
    assert reports[0]["caveats"].count("The labels are 'labels' of layers.npz.") == 1
    np.save("other.npy", Z**2)
    np.savez("swapped.npz", c=Z, labels=1 - LABELS)
    np.savez("straight.npz", d=Z**3, labels=LABELS)
    assert cli.run(["compare", "swapped.npz", "straight.npz", "--json"]) == 0
    caveats = json.loads(capsys.readouterr().out)["caveats"]
    assert "The labels beside the embeddings differ and were not used; pass --labels." in caveats
    np.save("k.npy", np.ones((40, 4)))
    np.save("k2.npy", 2 * np.ones((40, 4)))
    assert cli.run(["compare", "k.npy", "k2.npy", "--out", "out"]) == 0
    seen = capsys.readouterr()
    assert "at least one of them is constant" in seen.out
    assert seen.err == ""


@pytest.mark.parametrize("beside", [LABELS[::-1], np.linspace(0, 1, 40)])
def test_only_the_labels_that_are_used_are_named(folder, capsys, beside):
    np.savez("p.npz", z=Z, labels=beside)
    np.savez("l.npz", z=Z, labels=LABELS)
    assert cli.run(["diagnose", "p.npz", "--labels", "l.npz", "--json"]) == 0
    caveats = json.loads(capsys.readouterr().out)["caveats"]
    assert [c for c in caveats if "'labels'" in c] == ["The labels are 'labels' of l.npz."]


def test_one_hot_labels_of_samples_count_for_their_tokens(folder, capsys):
    np.save("hot.npy", np.eye(2)[LABELS])
    summaries = []
    for labels in ("y.npy", "hot.npy"):
        options = ["--pool", "none", "--labels", labels, "--json"]
        assert cli.run(["diagnose", "tokens.npy", *options]) == 0
        summaries.append(json.loads(capsys.readouterr().out)["summary"])
    assert summaries[0] == summaries[1]
