"""Cells of tables of text that are missing or not finite: one line that names the line."""

from pathlib import Path

import numpy as np
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal_of(text, capsys):
    """Return the only line that `jssl diagnose` writes, with status 2, for a file of the text."""
    Path("z.csv").write_text(text)
    assert cli.run(["diagnose", "z.csv", "--out", "out"]) == 2
    seen = capsys.readouterr()
    assert seen.err.count("\n") == 1
    assert not seen.out
    return seen.err


@pytest.mark.parametrize("cell", ["", "nan", "NA", "None", "inf", "-inf", "1e400"])
@pytest.mark.parametrize("at", [0, 75, 5000])
def test_a_cell_that_is_not_finite_is_named_and_the_advice_works(capsys, cell, at):
    lines = [f"{i / 7},{i % 5}.5" for i in range(6000)]
    whole = lines.copy()
    lines[at] = f"0.25,{cell}"
    error = refusal_of("\n".join(["a,b", *lines, ""]), capsys)
    says = f"'{cell}' is not a finite number" if cell else "it is empty"
    place = f"z.csv: line {at + 2:,}, column b: {says}; write a number, or leave the row out"
    assert place in error
    Path("z.csv").write_text("\n".join(["a,b", *whole[:at], *whole[at + 1 :], ""]))
    assert read_embeddings("z.csv").z.shape == (5999, 2)


def test_a_cell_that_is_not_finite_is_named_with_decimal_commas(capsys):
    error = refusal_of("a;b\n0,5;1,5\n1,5;inf\n2,25;0,125\n", capsys)
    assert "z.csv: line 3, column b: 'inf' is not a finite number" in error


def test_rows_of_other_files_are_said_to_be_counted_from_0(capsys):
    z = np.ones((30, 2))
    z[7] = np.nan
    np.save("z.npy", z)
    assert cli.run(["diagnose", "z.npy", "--out", "out"]) == 2
    assert "not finite, at 7; drop or repair them (rows are counted from 0)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("header", ["", "a\n"])
@pytest.mark.parametrize("empty", ["\n", "  \n"])
@pytest.mark.parametrize("at", [0, 1, 40, 49])
def test_an_empty_line_of_a_single_column_is_a_missing_cell(capsys, header, empty, at):
    lines = [f"{i}.5\n" for i in range(50)]
    lines.insert(at, empty)
    line = at + 1 + bool(header)
    error = refusal_of(header + "".join(lines), capsys)
    assert f"z.csv: line {line} is empty; write its value, or remove the line" in error


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n"])
def test_the_last_line_may_be_empty(end):
    Path("z.csv").write_text("\n".join(f"{i}.5" for i in range(50)) + end, newline="")
    assert read_embeddings("z.csv").z[:, 0].tolist() == [i + 0.5 for i in range(50)]


def test_an_empty_line_between_rows_of_several_columns_is_no_cell():
    Path("z.csv").write_text("a,b\n1.5,2\n\n2.5,3\n")
    assert read_embeddings("z.csv").z.tolist() == [[1.5, 2], [2.5, 3]]


def test_an_empty_line_among_labels_or_lists_is_named():
    Path("y.csv").write_text("label\ncat\n\ndog\n")
    with pytest.raises(InputError, match=r"y.csv: line 3 is empty"):
        read_label_files("y.csv")
    Path("z.csv").write_text('embedding\n"[1.5, 2]"\n\n"[2.5, 3]"\n')
    with pytest.raises(InputError, match=r"z.csv: line 3 is empty"):
        read_embeddings("z.csv")


def test_an_empty_file_says_what_to_do(capsys):
    assert "z.csv is empty; write rows of numbers to it, or leave it out" in refusal_of("", capsys)
