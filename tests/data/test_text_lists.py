"""Columns of lists in tables of text, as pandas writes columns of lists and of arrays."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jssl.data.embedding_files import read_embeddings
from jssl.errors import InputError

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(300, 7))
LISTS = pd.DataFrame({"id": range(300), "embedding": Z.tolist()})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_lists_are_the_embeddings_with_and_without_other_columns(suffix, separator, index, header):
    options = {"sep": separator, "index": index, "header": header}
    LISTS[["embedding"]].to_csv(f"z{suffix}", **options)
    if index <= header and (index or separator != ";"):  # else numbers beside, or no quotes
        np.testing.assert_array_equal(read_embeddings(f"z{suffix}").z, Z)
    if header:
        LISTS.assign(label=np.arange(300) % 3).to_csv(f"z{suffix}", **options)
        found = read_embeddings(f"z{suffix}")
        np.testing.assert_array_equal(found.z, Z)
        assert found.labels == (np.arange(300) % 3).tolist()
        assert any("Column 'id'" in note and "was left out" in note for note in found.notes)


def test_arrays_as_numpy_prints_them_are_read_over_several_lines():
    z = RNG.normal(size=(40, 30)).round(4)
    pd.DataFrame({"name": ["x"] * 40, "emb": list(z)}).to_csv("z.csv", index=False)
    assert Path("z.csv").read_text().count("\n") > 100
    np.testing.assert_array_equal(read_embeddings("z.csv").z, z)


def test_lists_under_another_name_beside_numbers_ask_for_a_key():
    LISTS.assign(score=Z[:, 0]).rename(columns={"embedding": "v"}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match=r"choose with --key: it holds v \(n, 7\) lists of num"):
        read_embeddings("z.csv")
    np.testing.assert_array_equal(read_embeddings("z.csv", key="v").z, Z)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (
            [1.0],
            "line 42, column embedding: the list has 1 numbers, and that of line 2 has 2; give",
        ),
        (None, "line 42, column embedding: '' is not a list such as"),
        ([1.0, "a"], "line 42, column embedding: '\\[1.0, 'a'\\]' is not a list such as"),
        (np.zeros(2000), "line 42, column embedding: the list was shortened with '...' when it"),
    ],
)
def test_a_bad_list_is_named_with_its_line(last, says):
    pd.DataFrame({"embedding": [[1.0, 2.0]] * 40 + [last]}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match=says):
        read_embeddings("z.csv")


@pytest.mark.parametrize("separator", [",", "\t"])
def test_words_with_brackets_are_no_lists(separator):
    table = pd.DataFrame({"text": ["see [1, 2]", "x [3"], "a": [1.5, 2.5], "b": [2.0, 3.0]})
    table.to_csv("z.csv", index=False, sep=separator)
    np.testing.assert_array_equal(read_embeddings("z.csv").z, [[1.5, 2], [2.5, 3]])


def test_tensors_and_lists_without_quotation_marks_are_one_line():
    pd.DataFrame({"id": [1, 2], "z": ["tensor([0.1, 0.2])"] * 2}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match=r"line 2, column z: 'tensor\(\[0.1, 0.2\]\)' is not a li"):
        read_embeddings("z.csv")
    for text in ("[0.1, 0.2, 0.3]\n[0.4, 0.5, 0.6]\n", "id,z\n1,[0.1, 0.2]\n2,[0.4, 0.5]\n"):
        Path("z.csv").write_text(text)
        with pytest.raises(InputError, match=r"without quotation marks; remove the brackets"):
            read_embeddings("z.csv")


@pytest.mark.parametrize("header", [True, False])
def test_tuples_of_numbers_are_read_as_lists_are(header):
    table = pd.DataFrame({"embedding": list(map(tuple, Z.tolist()))})
    table.to_csv("z.csv", index=False, header=header)
    np.testing.assert_array_equal(read_embeddings("z.csv").z, Z)
    table = pd.DataFrame({"embedding": [(x,) for x in Z[:, 0].tolist()], "label": ["(a, b)"] * 300})
    table.to_csv("z.csv", index=False)
    np.testing.assert_array_equal(read_embeddings("z.csv").z, Z[:, :1])


def test_a_tuple_of_other_things_and_one_without_quotation_marks_are_one_line():
    pd.DataFrame({"embedding": [(1.0, 2.0)] * 40 + [(1.0, "a")]}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match=r"line 42, column embedding: '\(1.0, 'a'\)' is not a lis"):
        read_embeddings("z.csv")
    pd.DataFrame({"embedding": [((1.0, 2.0), (3.0, 4.0))] * 40}).to_csv("z.csv", index=False)
    with pytest.raises(InputError, match=r"line 2, column embedding: '.*' is not a list such as"):
        read_embeddings("z.csv")
    Path("z.csv").write_text("embedding\n(0.1, 0.2)\n(0.3, 0.4)\n")
    with pytest.raises(InputError, match="without quotation marks; remove the brackets"):
        read_embeddings("z.csv")
