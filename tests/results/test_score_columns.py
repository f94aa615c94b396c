"""Scores of a column of matrices are those of each matrix, bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.metrics import SCORES
from results.schema import SCHEMA
from results.score_columns import scores_of_rows

TYPE = SCHEMA.field("confusion_test").type
# Zeros often: classes without pixels, empty matrices, everything right.
COUNTS = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 50_000))


@st.composite
def matrix(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(0, 17))
    return [draw(st.lists(COUNTS, min_size=size, max_size=size)) for _ in range(size)]


def expected(name: str, value: list[list[int]] | None) -> float:
    return SCORES[name](np.array(value).reshape(len(value), -1)) if value else float("nan")


@given(matrices=st.lists(st.none() | matrix(), max_size=12), start=st.integers(0, 3))
@settings(deadline=None)
def test_scores_are_those_of_each_matrix(matrices: list[list[list[int]] | None], start: int) -> None:
    # A slice, as a part of a file is: its offsets do not begin at 0.
    found = scores_of_rows(pa.array(matrices, TYPE)[start:])
    assert list(found) == list(SCORES)
    for name, values in found.items():
        assert np.array_equal(values, [expected(name, each) for each in matrices[start:]], equal_nan=True)


@pytest.mark.parametrize("torn", [[[1, 2], [3]], [[1, 2, 3], [4, 5, 6]]])
def test_what_is_not_square_is_judged_as_one_matrix_is(torn: list[list[int]]) -> None:
    column = pa.array([[[1, 0], [0, 1]], torn], TYPE)
    with pytest.raises(ValueError, match=r"shape|inhomogeneous|dimension|matmul|broadcast"):
        scores_of_rows(column)
