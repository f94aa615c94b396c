"""Which axes are rows, columns and bands: what is certain is understood, what is not is asked for."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.files.raw_arrays import arrange, arrangements
from hsicl_core.errors import SceneError

# No side is the product of two others: a label map is never a table of pixels too.
SIDES = st.integers(4, 9)


@given(SIDES, SIDES, SIDES)
def test_the_label_map_tells_the_axes_of_a_cube(height: int, width: int, bands: int) -> None:
    truth = np.arange(height * width * bands).reshape(height, width, bands)
    for axis in (0, 1, 2):
        stored = np.moveaxis(truth, -1, axis)
        # An independent count: in how many ways can one axis be left out so that the image remains, in its order?
        ways = [i for i in range(3) if tuple(np.delete(stored.shape, i)) == (height, width)]
        if len(ways) == 1:
            way = arrange(stored.shape, (height, width))
            assert np.array_equal(way.cube.apply(stored), truth)
        else:
            with pytest.raises(SceneError, match=r"fit in more than one way .* give --shape H,W,B"):
                arrange(stored.shape, (height, width))
        assert len(arrangements(stored.shape, (height, width))) == len(ways)


@given(SIDES, SIDES, st.integers(2, 90), st.sampled_from("CF"), st.booleans())
def test_a_table_of_pixels_is_understood(height: int, width: int, bands: int, order: str, pixels_first: bool) -> None:
    truth = np.arange(height * width * bands).reshape(height, width, bands)
    # Pixel by pixel, as the words say it.
    if order == "C":
        table = np.array([truth[i, j] for i in range(height) for j in range(width)])
    else:
        table = np.array([truth[i, j] for j in range(width) for i in range(height)])
    stored = table if pixels_first else table.T
    if bands == height * width:
        assert len(arrangements(stored.shape, (height, width), order=order)) == 2
        return
    way = arrange(stored.shape, (height, width), order=order)
    assert np.array_equal(way.cube.apply(stored), truth)
    assert f"order {order}" in way.cube.text


def test_what_was_understood_is_said() -> None:
    assert "bands first" in arrange((6, 20, 24), (20, 24)).cube.text
    assert arrange((20, 24, 6), (20, 24)).cube.text == "rows, columns, bands"
    assert arrange((20, 24, 6), (4, 480)).labels.text == "flat: classes, pixels, pixels along rows (order C)"


def test_the_shape_decides_what_the_labels_leave_open() -> None:
    with pytest.raises(SceneError, match="more than one way"):
        arrange((9, 9, 9), (9, 9))
    assert arrange((9, 9, 9), (9, 9), shape=(9, 9, 9)).cube.text == "rows, columns, bands"
    with pytest.raises(SceneError, match="do not fit"):
        arrange((480, 6), (480,))
    assert arrange((480, 6), (480,), shape=(20, 24, 6)).labels.text.startswith("flat")


def test_a_format_that_knows_its_bands_is_believed() -> None:
    assert len(arrangements((9, 9, 9), (9, 9), band_axis=2)) == 1
    assert arrangements((6, 20, 24), (20, 24), band_axis=2) == []


@pytest.mark.parametrize("labels", [(24, 20), (20, 23), (480, 1, 1, 1), (2, 2), (), (0,), (20, 24, 4, 2)])
def test_labels_that_do_not_fit_are_refused(labels: tuple[int, ...]) -> None:
    with pytest.raises(SceneError, match="do not fit"):
        arrange((20, 24, 6), labels)


def test_no_order_of_three_different_axes_is_ambiguous() -> None:
    for cube in permutations((20, 24, 6)):
        assert len(arrangements(cube, (20, 24))) == (cube.index(20) < cube.index(24))
