"""What a liveness network is shown, and that a missing one is a fault and not a pass."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renzheng.models.detection.boxes import Box
from renzheng.models.errors import ModelMissingError
from renzheng.models.liveness.network import open_liveness, surroundings

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_the_surroundings_are_half_as_wide_again_as_the_face() -> None:
    np.testing.assert_array_equal(surroundings(IMAGE, Box(20, 10, 40, 30)), IMAGE[5:35, 15:45])


def test_what_lies_outside_is_mirrored_at_the_edge() -> None:
    seen = surroundings(IMAGE, Box(-10, 0, 10, 20))
    np.testing.assert_array_equal(seen[5:, 15:], IMAGE[:25, :15])
    np.testing.assert_array_equal(seen[5:, 14], IMAGE[:25, 1])
    np.testing.assert_array_equal(seen[4, 15:], IMAGE[1, :15])


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(0, 200))
def test_any_box_gives_a_square(left: float, top: float, side: float) -> None:
    seen = surroundings(IMAGE, Box(left, top, left + side, top + side))
    assert seen.shape[0] == seen.shape[1]
    assert seen.shape[0] == pytest.approx(max(1, side * 1.5), abs=1.01)


def test_a_missing_liveness_network_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENZHENG_HOME", str(tmp_path))
    monkeypatch.delenv("RENZHENG_MODEL_DIR", raising=False)
    with pytest.raises(ModelMissingError, match="antispoof"):
        open_liveness()
