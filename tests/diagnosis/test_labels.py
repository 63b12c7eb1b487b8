"""Labels as files, tables and lists hold them name the same classes; missing ones are counted."""

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from jssl.diagnosis.labels import read_labels
from jssl.errors import InputError

CLASSES = np.array([0, 1, 2, 1, 0, 2])
NAMES = np.array(["ant", "bee", "cow"])
WITHOUT = np.array([0, 1, -1, 1, 0, -1])
MISSING = pd.Series(pd.Categorical(["ant", "bee", None, "bee", "ant", None]))


@pytest.mark.parametrize(
    "labels",
    [
        CLASSES.astype(np.int8),
        CLASSES.astype(float),
        CLASSES.astype(np.float16),
        CLASSES[:, None],
        CLASSES[None],
        CLASSES.tolist(),
        [[c] for c in CLASSES.tolist()],
        CLASSES.astype(np.uint64) + 2**63,
        10 * CLASSES - 3,
        jnp.asarray(CLASSES, jnp.bfloat16),
        NAMES[CLASSES],
        NAMES.astype(object)[CLASSES],
        NAMES.astype("S")[CLASSES],
        NAMES.astype(np.dtypes.StringDType())[CLASSES],
        NAMES[CLASSES].tolist(),
        pd.Series(NAMES[CLASSES]),
        pd.Series(CLASSES, dtype="Int64"),
        pd.Categorical(NAMES[CLASSES]),
        pd.DataFrame({"label": NAMES[CLASSES]}),
        np.array([5, "bee", "cow"], object)[CLASSES],
        np.ma.array(CLASSES, mask=False),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_any_container_and_dtype_names_the_same_classes(labels):
    read = read_labels(labels, 6)
    np.testing.assert_array_equal(read.classes, CLASSES)
    assert not read.caveats


def test_one_hot_labels_are_read_and_said():
    for dtype in (float, bool, np.uint8):
        read = read_labels(np.eye(3, dtype=dtype)[CLASSES], 6)
        np.testing.assert_array_equal(read.classes, CLASSES)
        assert "one-hot, 3 columns" in read.caveats[0]


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (WITHOUT, "-1"),
        (WITHOUT.astype(float), "-1"),
        (WITHOUT.astype(str), "-1"),
        (np.where(WITHOUT < 0, np.nan, WITHOUT), "missing"),
        (np.array(["ant", "bee", ""])[WITHOUT], "''"),
        (np.array(["ant", "bee", "nan"])[WITHOUT], "nan"),
        (["ant", "bee", None, "bee", "ant", None], "missing"),
        (["ant", "bee", float("nan"), "bee", "ant", np.nan], "missing"),
        (MISSING, "missing"),
        (MISSING.astype("string"), "missing"),
        (MISSING.astype(str), "nan"),
        (pd.Series([0, 1, pd.NA, 1, 0, pd.NA], dtype="Int64"), "missing"),
        (np.ma.array(CLASSES, mask=CLASSES == 2), "missing"),
    ],
    ids=str,
)
def test_rows_without_a_label_are_counted_and_left_out(labels, why):
    read = read_labels(labels, 6)
    np.testing.assert_array_equal(read.classes, WITHOUT)
    if not isinstance(labels, pd.Series):  # tables differ in what they write for a missing value
        assert f"({why})" in read.caveats[0]
    assert read.caveats[0].startswith("2 of 6 rows have no label")


def test_minus_one_and_one_alone_are_two_classes():
    read = read_labels([-1, 1, 1, -1], 4)
    assert read.classes.tolist() == [0, 1, 1, 0]
    assert "two classes" in read.caveats[0]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (CLASSES[1:], r"one entry for each of the 6 rows; got shape \(5,\)"),
        (np.ones((6, 3)), r"got shape \(6, 3\)"),
        (np.zeros((6, 3)), r"got shape \(6, 3\)"),
        (CLASSES + 0.5, "row 0 holds 0.5"),
        (np.where(CLASSES == 2, np.inf, CLASSES), "row 2 holds inf"),
        ([1, 2, 0.5, 1, 1, 1], "row 2 holds 0.5"),
        (np.array(["ant", 1.5, 1, 1, 1, 1], object), "row 1 holds 1.5"),
        (np.array([{}] * 6), "row 0 holds a dict"),
        (CLASSES + 0j, "integers or strings; got complex128"),
        (np.datetime64("2020-01-01") + CLASSES, "integers or strings; got datetime64"),
        (0 * CLASSES, "only one class, 0; a probe needs two"),
        (np.minimum(WITHOUT, 0), r"only one class, 0 \(2 rows have no label: -1\)"),
        (0 * CLASSES - 1, r"no class \(6 rows have no label: -1\)"),
        ("cat", r"got shape \(3,\)"),
        (3, r"got shape \(\)"),
    ],
    ids=str,
)
def test_labels_that_name_no_classes_are_refused(labels, says):
    with pytest.raises(InputError, match=says):
        read_labels(labels, 6)
