"""The bench's keys, and an hour of a whole agent by choice: `pytest -m long tests/integration/ward`."""

import os
from pathlib import Path

import pytest

from renzheng.bench.ward.run import BenchImagesError, run, use_of

pytestmark = [pytest.mark.ffmpeg, pytest.mark.rtsp]
CHECKOUT = Path(__file__).resolve().parents[3]
PORTRAITS = Path(os.environ.get("RENZHENG_PORTRAITS") or CHECKOUT / ".cache" / "portraits")


@pytest.mark.long
@pytest.mark.timeout(6 * 3600)
def test_memory_is_flat_over_an_hour_of_four_cameras():
    seconds = float(os.environ.get("SOAK_SECONDS", "3600"))
    figures = run(4, seconds, "dlib", PORTRAITS, print)
    assert figures["cameras_up"] == 4
    assert figures["analysed"] > 0.5 * 4 * seconds
    assert figures["memory_mb"] < 1.1 * figures["memory_mb_before"]


def test_the_bench_needs_people(tmp_path):
    with pytest.raises(BenchImagesError, match="0 photograph"):
        run(1, 5, "dlib", tmp_path, print)


def test_what_a_process_uses_is_read():
    used = use_of(os.getpid())
    assert used.cpu_s > 0
    assert used.memory_mb > 10
