"""The table of checkpoints, the best one with its uncertainty, and runs side by side."""

import json

import numpy as np
import pytest

import jssl
from jssl import diagnostics
from jssl.commands import main as cli
from jssl.diagnosis.checkpoint_table import GROUPS, LINEAR, NEAREST, choose, jackknife_error
from jssl.diagnosis.matching import debiased_cka, debiased_cka_error, prepare
from jssl.diagnosis.tables import checkpoint_rows
from jssl.diagnosis.views import unit

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 5, 400)
CENTRES, NOISE = RNG.normal(size=(5, 16)), RNG.normal(size=(400, 16))


def run(*scales):
    return {f"z-{i}": CENTRES[LABELS] * s + NOISE for i, s in enumerate(scales, 1)}


def test_with_labels_the_best_checkpoint_has_the_most_accurate_linear_probe():
    checkpoints = run(0.0, 2.0, 0.5, 0.1)
    seen = jssl.diagnose(checkpoints["z-4"], LABELS, checkpoints=checkpoints)
    table = seen.history.table
    assert table.rule == "the highest linear probe accuracy"
    assert (table.best, table.near) == (1, ())
    assert table.values[LINEAR].argmax() == 1
    assert np.all((table.errors[LINEAR][1:] > 0) & (table.errors[LINEAR][1:] < 0.06))
    assert any("The best checkpoint is z-2" in line for line in seen.summary)
    # the ranks alone would have chosen the checkpoint without any class
    assert table.values["effective rank"].argmax() == 0
    rows = checkpoint_rows(seen.history)
    assert [row["checkpoint"] for row in rows] == ["z-1", "z-2 ★", "z-3", "z-4"]


def test_checkpoints_that_cannot_be_told_apart_are_named():
    same = {"a": 2 * CENTRES[LABELS] + NOISE, "b": 2 * CENTRES[LABELS] + NOISE + 1e-3 * NOISE[::-1]}
    table = jssl.diagnose(same["a"], LABELS, checkpoints=same).history.table
    assert {table.best, *table.near} == {0, 1}


def test_values_of_the_table_are_those_of_the_functions():
    checkpoints = run(0.0, 1.0)
    views = {name: z + 0.3 * RNG.normal(size=z.shape) for name, z in checkpoints.items()}
    history = jssl.diagnose(
        checkpoints["z-2"], LABELS, checkpoints=checkpoints, checkpoint_views=views
    ).history
    for i, (name, z) in enumerate(checkpoints.items()):
        values = {key: column[i] for key, column in history.table.values.items()}
        assert values["RankMe"] == pytest.approx(float(diagnostics.rankme(z)))
        assert values["effective rank"] == pytest.approx(float(diagnostics.effective_rank(z)))
        uniform = diagnostics.uniformity(np.asarray(z))
        assert values["uniformity"] == pytest.approx(float(uniform.value))
        assert history.table.errors["uniformity"][i] == pytest.approx(float(uniform.error), rel=0.7)
        align = diagnostics.alignment(z, views[name])
        assert values["alignment"] == pytest.approx(float(align.value))
        assert history.table.errors["alignment"][i] == pytest.approx(float(align.error), rel=0.7)
    assert NEAREST in history.table.values


def test_without_labels_views_decide_and_without_both_no_checkpoint_is_called_best():
    checkpoints = {"poor": NOISE[:, :1] * np.ones(16) + 0.1 * NOISE[::-1], "good": NOISE}
    views = {name: z + 0.1 * RNG.normal(size=z.shape) for name, z in checkpoints.items()}
    seen = jssl.diagnose(NOISE, checkpoints=checkpoints, checkpoint_views=views)
    assert seen.history.table.rule == "the highest same-sample retrieval"
    assert seen.history.table.best == 1
    values = seen.history.table.values["same-sample retrieval"]
    for i, (name, z) in enumerate(checkpoints.items()):
        apart = np.square(unit(z)[:, None] - unit(views[name])[None]).sum(-1)
        assert values[i] == pytest.approx(np.mean(apart.argmin(1) == np.arange(400)))
    constant = {"1": np.ones((400, 16)), "2": NOISE}
    table = jssl.diagnose(NOISE, checkpoints=constant, checkpoint_views=constant).history.table
    assert table.values["same-sample retrieval"].tolist() == [0, 1]
    assert jssl.diagnose(NOISE, checkpoints=checkpoints).history.table.best is None


def test_views_that_lack_a_checkpoint_leave_its_alignment_out_with_a_line():
    checkpoints = run(0.0, 1.0)
    seen = jssl.diagnose(NOISE, checkpoints=checkpoints, checkpoint_views={"z-1": NOISE})
    assert "alignment" not in seen.history.table.values
    assert any("alignment of checkpoints was left out" in caveat for caveat in seen.caveats)


def test_one_foreign_checkpoint_is_one_line_and_the_others_are_compared():
    broken = NOISE.copy()
    broken[3, 3] = np.nan
    checkpoints = run(0.0, 1.0) | {"narrow": NOISE[:, 1:], "nan": broken, "words": np.array(["x"])}
    seen = jssl.diagnose(NOISE, LABELS, checkpoints=checkpoints)
    assert seen.history.names == ("z-1", "z-2")
    assert len(seen.history.failures) == 3
    assert "narrow has 15 dimensions, the embeddings 16" in seen.history.failures[0]
    left = [row["checkpoint"] for row in checkpoint_rows(seen.history)[2:]]
    assert all(line.startswith("left out: ") for line in left)
    assert len(left) == 3


def test_two_runs_are_compared_by_their_best_checkpoints():
    runs = {"A": run(0.0, 1.5), "B": run(0.0, 0.3)}
    seen = jssl.diagnose(NOISE, LABELS, checkpoints=runs)
    assert list(seen.runs) == ["A", "B"]
    assert "The best checkpoint of A is better than that of B" in seen.summary[-1]
    equal = jssl.diagnose(NOISE, LABELS, checkpoints={"A": runs["A"], "B": runs["A"]})
    assert "are not distinguishable" in equal.summary[-1]
    assert any(line.startswith("A: Over 2 checkpoints") for line in seen.summary)


def test_two_folders_of_the_command_are_two_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", NOISE)
    np.save("labels.npy", LABELS)
    for name, scales in (("first", (0.0, 1.5)), ("second", (0.0, 0.3))):
        (tmp_path / name).mkdir()
        for step, z in run(*scales).items():
            np.save(tmp_path / name / f"{step}.npy", z)
    given = ["diagnose", "z.npy", "--labels", "labels.npy", "--checkpoints", "first", "second"]
    assert cli.run([*given, "--out", "out"]) == 0
    assert "The best checkpoint of first is better than that of second" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Checkpoints of first" in page
    assert "Checkpoints of second" in page
    assert "★" in page
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert record["checkpoints of first"]["table"]["best"] == 1
    assert cli.run([*given, "z.npy", "--out", "mixed"]) == 2
    assert "got both" in capsys.readouterr().err


def test_jackknife_errors_of_a_mean_are_its_standard_error():
    values = RNG.normal(size=(3, GROUPS))
    left_out = (values.sum(1, keepdims=True) - values) / (GROUPS - 1)
    expected = values.std(1, ddof=1) / np.sqrt(GROUPS)
    np.testing.assert_allclose(jackknife_error(left_out), expected)
    assert choose(np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])) == (1, ())


@pytest.mark.parametrize(("n", "dim", "mixed"), [(120, 8, 0.0), (120, 8, 0.5), (60, 90, 0.7)])
def test_the_error_of_the_debiased_cka_is_its_spread_over_draws(n, dim, mixed):
    found, errors = [], []
    for seed in range(60):
        a, b = np.random.default_rng(seed).normal(size=(2, n, dim)) * np.linspace(0.5, 2, dim)
        pair = prepare(a), prepare(mixed * a + (1 - mixed) * b)
        found.append(debiased_cka(*pair))
        errors.append(debiased_cka_error(*pair))
    spread = np.std(found)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(spread, rel=0.45)


@pytest.mark.parametrize("rows", [2, 3, 17, 21])
def test_checkpoints_of_few_rows_stand_beside_those_of_many(rows):
    views = {"1": NOISE[:rows] + 0.1, "2": NOISE + 0.1}
    seen = jssl.diagnose(NOISE, checkpoints={"1": NOISE[:rows], "2": NOISE}, checkpoint_views=views)
    table = seen.history.table
    assert all(len(values) == 2 for values in table.values.values())
    alone = jssl.diagnose(NOISE, checkpoints={"2": NOISE}).history.table
    assert table.values["uniformity"][1] == pytest.approx(alone.values["uniformity"][0])


def test_a_collapse_that_is_over_later_is_told_with_its_end_and_unnumbered_names_come_last(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    turned = np.linalg.qr(NOISE[:16])[0]
    flat = (NOISE * np.r_[1.0, np.full(15, 0.01)]) @ turned
    for name, z in (("s0", flat), ("s100", flat), ("s200", NOISE), ("s300", NOISE + 0.1)):
        np.save(tmp_path / f"{name}.npy", z)
    np.save(tmp_path / "final.npy", NOISE)
    np.save(tmp_path / "z.npy", NOISE)
    files = ["s300.npy", "final.npy", "s0.npy", "s200.npy", "s100.npy"]
    assert cli.run(["diagnose", "z.npy", "--json", "--checkpoints", *files]) == 0
    report = json.loads(capsys.readouterr().out)
    text = " ".join(report["caveats"])
    assert "in the order s0.npy to final.npy, because the name final.npy has no number" in text
    line = "Collapse (dimensional) is there at the first checkpoint and is over at checkpoint 2."
    assert line in report["summary"]
    seen = jssl.diagnose(NOISE, checkpoints=[NOISE, flat, 1.1 * flat, NOISE, NOISE + 0.1])
    line = "Collapse (dimensional) begins at checkpoint 1 and is over at checkpoint 3."
    assert line in seen.summary
    files = ["s0.npy", "s100.npy", "s200.npy", "s300.npy"]
    assert cli.run(["diagnose", "z.npy", "--json", "--checkpoints", *files]) == 0
    assert "no number" not in " ".join(json.loads(capsys.readouterr().out)["caveats"])


def test_a_collapse_at_the_first_checkpoint_is_told_and_a_collapsed_end_has_learned_nothing():
    point = 5 + 1e-5 * NOISE
    seen = jssl.diagnose(NOISE, checkpoints=[point, point + 1e-6, 1.1 * point])
    assert "Collapse (complete) is there at the first checkpoint and does not end." in seen.summary
    seen = jssl.diagnose(NOISE, checkpoints=[point, NOISE, 1.1 * NOISE])
    assert (
        "Collapse (complete) is there at the first checkpoint and is over at checkpoint 1."
        in seen.summary
    )
    seen = jssl.diagnose(NOISE, checkpoints=[NOISE, 1.1 * NOISE, point])
    assert "Collapse (complete) begins at checkpoint 2." in seen.summary
    assert not any("learned" in line for line in seen.summary)


def test_it_is_said_that_probes_of_checkpoints_have_a_split_of_their_own():
    checkpoints = run(0.0, 2.0)
    seen = jssl.diagnose(checkpoints["z-2"], LABELS, checkpoints=checkpoints)
    assert any(
        "use one split of the rows, which is not that" in line for line in seen.history.caveats
    )


def test_named_checkpoints_are_put_in_the_order_of_their_numbers():
    """As a dictionary from sorted file names gives them: 10, 100, 20."""
    given = {"10": 0.1 * NOISE, "100": 0.5 * NOISE, "20": 0.2 * NOISE}
    right = {name: given[name] for name in ("10", "20", "100")}
    seen, expected = (jssl.diagnose(NOISE, checkpoints=each) for each in (given, right))
    assert seen.summary == expected.summary
    assert seen.history.t.tolist() == [10, 20, 100]
    said = "The checkpoints were put in the order of the numbers in their names, 10 to 100."
    assert [said in each.history.caveats for each in (seen, expected)] == [True, False]
