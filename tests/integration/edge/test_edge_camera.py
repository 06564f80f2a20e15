"""The agent's own camera: files, a real RTSP server, and what becomes of it when it is pulled out."""

import logging
import shutil
import subprocess
import threading

import cv2
import numpy as np
import pytest
from parts.edge import eventually

from renzheng.bench.ward.server import RtspServer, server_is_here
from renzheng.edge.errors import CameraError
from renzheng.edge.kiosk import camera
from renzheng.edge.kiosk.camera import Kind, OwnCamera, Source, open_source, source_of

SECRET = "s3cr3t/pw"


def shade(level, size=(480, 640)):
    return np.full((*size, 3), level, np.uint8)


class Heard:
    """What a camera showed and told."""

    def __init__(self):
        self.frames, self.told = [], []

    def start(self, source, frames_per_second=12, **more):
        own = OwnCamera(source, frames_per_second, show=self.frames.append, tell=self.told.append, **more)
        own.start()
        return own


@pytest.fixture
def heard():
    return Heard()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("v4l2:/dev/video0", "v4l2:/dev/video0"),
        ("file:/some/where", "file:/some/where"),
        (f"rtsp://me:{SECRET.replace('/', '%2F')}@cam.example:554/one?key=x", "rtsp://cam.example:554/one"),
        ("rtsp://cam.example/one", "rtsp://cam.example/one"),
    ],
)
def test_a_source_is_shown_without_user_and_password(text, shown):
    source = source_of(text)
    assert source is not None
    assert source.shown == shown
    assert repr(source) == f"Source({shown})"


def test_the_password_file_goes_into_the_address_and_nowhere_else():
    source = source_of("rtsp://me:old@cam.example/one", SECRET)
    assert source.address == "rtsp://me:s3cr3t%2Fpw@cam.example/one"
    assert "s3cr3t" not in f"{source} {source!r} {source.shown}"
    assert source_of("browser") is None
    with pytest.raises(CameraError):
        source_of("usb:3")


def test_a_folder_of_pictures_is_played_over_and_over(tmp_path, heard):
    for name, level in (("a.png", 40), ("b.png", 200)):
        cv2.imwrite(str(tmp_path / name), shade(level, (960, 1280)))
    own = heard.start(Source(Kind.FILE, str(tmp_path)), 25)
    assert eventually(lambda: len(heard.frames) >= 5)
    own.stop()
    pictures = [cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_COLOR) for frame in heard.frames[:4]]
    assert [picture.shape for picture in pictures] == [(480, 640, 3)] * 4
    assert [round(picture.mean() / 40) for picture in pictures] == [1, 5, 1, 5]
    assert heard.told == [None]


def test_a_video_plays_at_its_own_speed_and_begins_anew(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, (64, 48))
    for level in (50, 100, 150):
        writer.write(shade(level, (48, 64)))
    writer.release()
    grabber = open_source(Source(Kind.FILE, str(path)), 12)
    seen = []
    for _ in range(7):
        assert grabber.grab()
        seen.append(round(grabber.retrieve().mean() / 50))
    grabber.close()
    assert seen == [1, 2, 3, 1, 2, 3, 1]


def test_a_folder_without_pictures_and_a_missing_device_are_named(tmp_path):
    with pytest.raises(CameraError, match="holds no picture"):
        open_source(Source(Kind.FILE, str(tmp_path)), 12)
    with pytest.raises(CameraError, match="/dev/video99"):
        open_source(Source(Kind.V4L2, "/dev/video99"), 12)


class Plugged:
    """A camera that can be pulled out and put in again."""

    def __init__(self):
        self.is_in = threading.Event()
        self.opened = 0

    def open(self, source, _frames_per_second):
        if not self.is_in.is_set():
            raise CameraError(f"The camera {source.shown} cannot be opened.")
        self.opened += 1
        return self

    def grab(self):
        threading.Event().wait(0.01)
        return self.is_in.is_set()

    def retrieve(self):
        return shade(90)

    def close(self):
        return


def test_a_camera_that_is_pulled_out_is_told_once_and_taken_again_when_it_is_back(heard, monkeypatch):
    monkeypatch.setattr(camera, "FIRST_PAUSE_SECONDS", 0.05)
    plugged = Plugged()
    own = heard.start(Source(Kind.V4L2, "/dev/video0"), opening=plugged.open)
    assert eventually(lambda: heard.told == ["unplugged"])
    plugged.is_in.set()
    assert eventually(lambda: heard.told == ["unplugged", None] and own.newest is not None)
    plugged.is_in.clear()
    assert eventually(lambda: heard.told == ["unplugged", None, "unplugged"])
    plugged.is_in.set()
    assert eventually(lambda: heard.told[-1] is None and plugged.opened == 2)
    own.stop()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    if shutil.which("ffmpeg") is None or not server_is_here():
        pytest.skip("needs ffmpeg and GStreamer's RTSP server: see bench/ward/server.py")
    path = tmp_path_factory.mktemp("clip") / "clip.h264"
    command = (
        "ffmpeg -loglevel error -f lavfi -i testsrc=size=640x480:rate=15 -t 4 -c:v libx264 -g 15 -bf 0 -y"
    )
    subprocess.run([*command.split(), str(path)], check=True)
    return path


def test_a_real_rtsp_camera_with_a_password_goes_away_and_comes_back(clip, heard, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    with RtspServer({"/kiosk": clip}, user="me", password=SECRET) as server:
        port = server.port
        source = source_of(f"rtsp://me@127.0.0.1:{port}/kiosk", SECRET)
        own = heard.start(source)
        assert eventually(lambda: len(heard.frames) >= 5, within_seconds=60)
        assert heard.told == [None]
    assert eventually(lambda: heard.told == [None, "unplugged"], within_seconds=60)
    with RtspServer({"/kiosk": clip}, user="me", password=SECRET, port=port):
        assert eventually(lambda: heard.told[-1] is None, within_seconds=60)
    own.stop()
    said = capfd.readouterr()
    assert "s3cr3t" not in caplog.text + said.out + said.err


def test_a_wrong_password_is_a_camera_that_fails_and_is_not_written_anywhere(clip, heard, caplog, capfd):
    with RtspServer({"/kiosk": clip}, user="me", password=SECRET) as server:
        own = heard.start(source_of(f"rtsp://me@127.0.0.1:{server.port}/kiosk", "wr0ng"))
        assert eventually(lambda: heard.told == ["unplugged"], within_seconds=60)
        own.stop()
    said = capfd.readouterr()
    assert "127.0.0.1" in caplog.text
    assert "wr0ng" not in caplog.text + said.out + said.err
