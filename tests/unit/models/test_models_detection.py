"""Boxes, suppression and the pyramid."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.models.conversion.networks import Overlap
from renzheng.models.detection.boxes import Box, Detection, intersection, iou, suppress
from renzheng.models.detection.mmod import KIOSK, SECOND_LOOK, Plan, factors, shrinkage
from renzheng.models.detection.pyramid import nearest_tile, pack, plan_layout, shrink
from renzheng.models.detection.scales import Part, Scales

TOO_SMALL_PX = 6  # far below any face
edges = st.floats(-50, 50)
boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), edges, edges, st.floats(1, 40), st.floats(1, 40)
)
detections = st.lists(st.builds(Detection, boxes, st.floats(0, 2)), max_size=12)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_within_its_range(one: Box, other: Box) -> None:
    assert intersection(one, other) == intersection(other, one)
    assert 0 <= iou(one, other) <= 1
    assert iou(one, one) == pytest.approx(1)


@given(detections)
def test_suppression_keeps_the_best_and_nothing_that_overlaps_it(found: list[Detection]) -> None:
    kept = suppress(found, Overlap(iou=0.3, covered=1.0))
    assert [each.confidence for each in kept] == sorted((each.confidence for each in kept), reverse=True)
    for index, each in enumerate(kept):
        assert all(iou(each.box, other.box) <= 0.3 for other in kept[index + 1 :])
    for each in found:
        assert any(each is other or iou(each.box, other.box) > 0 for other in kept)
    if found:
        assert kept[0].confidence == max(each.confidence for each in found)


@given(st.integers(5, 300), st.integers(5, 300), st.sampled_from([(5, 6), (3, 4)]))
def test_the_scales_lie_apart_from_each_other_inside_the_packed_image(
    rows: int, columns: int, step: tuple[int, int]
) -> None:
    layout = plan_layout(rows, columns, step)
    taken = np.zeros((layout.rows, layout.columns), dtype=int)
    for tile in layout.tiles:
        assert tile.left >= 0
        assert tile.top >= 0
        assert tile.left + tile.width <= layout.columns
        assert tile.top + tile.height <= layout.rows
        if min(tile.width, tile.height) >= TOO_SMALL_PX:  # dlib's own layout lets tinier ones overlap
            taken[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert taken.max() <= 1
    assert (layout.tiles[0].height, layout.tiles[0].width) == (rows, columns)


def test_each_scale_is_packed_in_its_place_and_the_mean_between() -> None:
    image = np.full((60, 80, 3), (10, 200, 90), dtype=np.uint8)
    layout = plan_layout(60, 80)
    packed = pack(image, layout, (1.5, 2.5, 3.5))
    for tile in layout.tiles:
        inside = packed[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        np.testing.assert_allclose(inside.reshape(-1, 3), [[10, 200, 90]] * inside[..., 0].size, atol=1e-3)
    np.testing.assert_array_equal(packed[0, 0], [1.5, 2.5, 3.5])


def test_every_point_belongs_to_the_tile_it_lies_in() -> None:
    layout = plan_layout(120, 90)
    middle_x = np.array([tile.left + tile.width / 2 for tile in layout.tiles])
    middle_y = np.array([tile.top + tile.height / 2 for tile in layout.tiles])
    np.testing.assert_array_equal(nearest_tile(layout, middle_x, middle_y), np.arange(len(layout.tiles)))


def test_shrinking_is_the_bilinear_rule_that_keeps_the_corners() -> None:
    image = np.random.default_rng(1).random((7, 9, 3)).astype(np.float32)
    small = shrink(image, 5, 6)
    np.testing.assert_allclose(small[0, 0], image[0, 0], atol=1e-5)
    np.testing.assert_allclose(small[-1, -1], image[-1, -1], atol=1e-5)
    y, x = 6 / 4, 8 / 5  # the source of row 1, column 1
    top = image[1, 1] * (2 - x) + image[1, 2] * (x - 1)
    bottom = image[2, 1] * (2 - x) + image[2, 2] * (x - 1)
    np.testing.assert_allclose(small[1, 1], top * (2 - y) + bottom * (y - 1), atol=1e-5)


@pytest.mark.parametrize(
    ("plan", "rows", "columns", "factor"),
    [
        (Plan(), 480, 640, 1.0),
        (KIOSK, 480, 640, 640 / 448),
        (KIOSK, 100, 120, 1.0),
        (SECOND_LOOK, 480, 640, 0.8),
        (SECOND_LOOK, 100, 120, 0.5),
        (SECOND_LOOK, 1600, 800, 2.0),
    ],
)
def test_an_image_is_brought_to_the_plan_s_size(plan: Plan, rows: int, columns: int, factor: float) -> None:
    assert shrinkage(rows, columns, plan) == pytest.approx(factor)


@pytest.mark.parametrize("factor", [0.55, 1.0, 1.4286, 2.0, 3.2143, 7.0])
def test_a_part_of_a_size_has_the_whole_size_s_pixels(factor: float) -> None:
    smooth = np.random.default_rng(2).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    scales = Scales(np.asarray(cv2.resize(smooth, (211, 163), interpolation=cv2.INTER_CUBIC), np.uint8))
    whole = scales.whole(factor)
    assert whole.shape[:2] == scales.size(factor)
    rows, columns = whole.shape[:2]
    part = Part(columns // 4, rows // 3, columns, rows - 2)
    inside = whole[part.top : part.bottom, part.left : part.right].astype(int)
    assert np.abs(scales.part(factor, part) - inside).max() <= 3


def test_a_size_s_pixels_lie_where_they_are_said_to_lie() -> None:
    across = np.tile(np.arange(200, dtype=np.uint8)[:, None], (150, 1, 3))
    for factor in (1.5, 2.0, 3.0):
        middle = Scales(across).whole(factor)[10, 20:50, 0]
        np.testing.assert_allclose(middle, (np.arange(20, 50) + 0.5) * factor - 0.5, atol=1)


def test_scales_end_where_a_face_would_fill_more_than_the_frame() -> None:
    found = factors(480, 640, KIOSK)
    assert found == pytest.approx([1.4286, 2.1429, 3.2143, 4.8214], abs=1e-4)
    assert factors(60, 60, KIOSK) == [1.0], "one look at the least"
    assert factors(30, 4000, KIOSK) == [], "nothing that the network could take is left of it"
