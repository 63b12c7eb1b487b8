"""Messages of the choice among arrays, of integer vectors, and the columns of views."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.commands import main as cli
from jssl.data.embedding_files import read_embeddings, read_label_files
from jssl.errors import InputError

Z = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_vectors_of_integers_say_that_they_are_read_as_labels():
    torch = pytest.importorskip("torch")
    torch.save([torch.arange(5)] * 6, "z.pt")
    with pytest.raises(InputError, match="a list of vectors of integers is read as batches of lab"):
        read_embeddings("z.pt")
    np.testing.assert_array_equal(read_label_files("z.pt")[0], list(range(5)) * 6)


def test_a_table_of_words_says_what_to_write():
    Path("z.csv").write_text("a,b\nx,y\nz,w\n")
    with pytest.raises(InputError, match="write one column for each dimension: it holds a"):
        read_embeddings("z.csv")


def test_views_whose_columns_are_in_another_order_are_refused(capsys):
    pd.DataFrame(Z, columns=["a", "b", "c"]).to_csv("a.csv", index=False)
    pd.DataFrame(Z, columns=["c", "b", "a"]).to_csv("v.csv", index=False)
    assert cli.run(["diagnose", "a.csv", "--views", "v.csv", "--out", "out"]) == 2
    assert "v.csv calls column 1 'c' and a.csv 'a'; write the columns" in capsys.readouterr().err
    pd.DataFrame(Z, columns=["d", "e", "f"]).to_csv("v.csv", index=False)
    assert cli.run(["diagnose", "a.csv", "--views", "v.csv", "--out", "out"]) == 0
    assert "v.csv calls column 1 'd' and a.csv 'a'; the columns are" in capsys.readouterr().out
