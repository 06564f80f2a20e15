"""Cameras over real sockets: both codecs from a real RTSP server, and every way to fail by its name.

No name here is an absence: a camera that gives nothing is `down`, and nobody's absence follows from that.
"""

import logging
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from parts.certificates import CertificateAuthority
from parts.edge import eventually
from parts.rtsp import BadCamera, TlsFront

from renzheng.bench.ward import scenes
from renzheng.bench.ward.server import RtspServer
from renzheng.contracts.events import CoverageState
from renzheng.edge.errors import SettingsError
from renzheng.edge.settings.ward import CameraSettings
from renzheng.edge.ward import stream
from renzheng.edge.ward.camera import Camera
from renzheng.edge.ward.decoder import Decoder, DecoderError
from renzheng.edge.ward.rtsp import Codec, Credentials
from renzheng.edge.ward.stream import read_credentials

pytestmark = [pytest.mark.ffmpeg, pytest.mark.rtsp]
SHOWN = Credentials("viewer", "p@ss:word")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two seconds of an empty corridor in both codecs."""
    folder = tmp_path_factory.mktemp("clips")
    return {codec: scenes.encode(scenes.frames([], 2), folder / "empty", codec) for codec in Codec}


@pytest.fixture(scope="module")
def server(clips):
    mounts = {"/h264": clips[Codec.H264], "/h265": clips[Codec.H265]}
    with RtspServer(mounts, user=SHOWN.user, password=SHOWN.password) as server:
        yield server


def camera_at(url, credentials=SHOWN, **changed):
    values = {"id": "door", "url": url, "ward": "3", "place": "corridor"} | changed
    return Camera(
        CameraSettings.model_validate(values), credentials, on_picture=lambda: None, first_wait_seconds=0.2
    )


@pytest.fixture
def started():
    cameras = []

    def start(*arguments, **changed):
        cameras.append(camera_at(*arguments, **changed))
        cameras[-1].start()
        return cameras[-1]

    yield start
    for camera in cameras:
        camera.stop()


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_key_frames_of_a_real_server_are_decoded_at_one_a_second(server, started, codec):
    camera = started(server.url(f"/{codec}"))
    assert eventually(lambda: camera.counts.pictures >= 3)
    picture = camera.take().picture
    assert picture.grey.shape == (720, 1280)
    assert picture.rgb().shape == (720, 1280, 3)
    assert np.asarray(picture.grey).std() > 10
    assert camera.standing().state is CoverageState.UP
    assert camera.counts.half_frames == 0


def test_every_frame_may_be_decoded_for_cameras_with_few_key_frames(server, started):
    camera = started(server.url("/h264"), mode="every_frame", frames_per_second=5.0)
    assert eventually(lambda: camera.counts.pictures >= 3)

    def seconds_for_eight():
        first, began = camera.counts.pictures, time.monotonic()
        assert eventually(lambda: camera.counts.pictures >= first + 8)
        return time.monotonic() - began

    took = []
    # key frames alone would take eight seconds; a busy machine may take as long, but not every time
    assert eventually(lambda: took.append(seconds_for_eight()) or took[-1] < 6)
    assert min(took) > 0.9


def test_a_wrong_password_is_named_and_not_tried_again_and_again(server, started, caplog):
    with caplog.at_level(logging.DEBUG):
        for credentials in (None, Credentials("viewer", "hunter2")):
            camera = started(server.url("/h264"), credentials)
            assert eventually(lambda camera=camera: camera.standing().cause == "wrong_password")
        time.sleep(1.0)
    assert camera.counts.connections == 0
    assert "hunter2" not in caplog.text
    assert SHOWN.password not in caplog.text


def test_no_password_stands_in_any_command_line(server, started):
    camera = started(server.url("/h264"))
    assert eventually(lambda: camera.counts.pictures >= 1)
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    decoders = [line for line in lines if b"ffmpeg" in line]
    assert decoders
    assert not [line for line in decoders if SHOWN.password.encode() in line or b"rtsp" in line]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority for cameras that no machine believes by itself."""
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def front(server, authority):
    """The real server behind TLS."""
    shown = authority.issue("camera")
    with TlsFront(server.port, shown.certificate, shown.key) as front:
        yield front


def test_a_camera_in_tls_is_seen_when_it_shows_its_own_certificate(front, authority, started):
    camera = started(front.url("/h264"), certificate_file=authority.folder / "camera.pem")
    assert eventually(lambda: camera.counts.pictures >= 1)


def test_a_camera_whose_authority_the_machine_believes_needs_no_certificate_file(
    front, authority, started, monkeypatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    camera = started(front.url("/h264"))
    assert eventually(lambda: camera.counts.pictures >= 1)


def test_whoever_shows_another_certificate_is_sent_nothing(front, authority, started, caplog):
    other = authority.issue("another-camera").certificate
    for changed in ({"certificate_file": other}, {}):
        camera = started(front.url("/h264"), Credentials("viewer", "hunter2"), **changed)
        assert eventually(lambda camera=camera: camera.standing().cause == "wrong_certificate")
        assert camera.counts.connections == 0
    assert front.passed_on == 0
    assert "hunter2" not in caplog.text


def test_a_camera_that_speaks_no_tls_is_named(server, started):
    camera = started(server.url("/h264").replace("rtsp:", "rtsps:"))
    assert eventually(lambda: camera.standing().cause in ("not_a_camera", "unreachable"))
    assert camera.counts.connections == 0


def test_a_certificate_that_cannot_be_read_is_named_before_anything_is_watched(tmp_path):
    (tmp_path / "door.pem").write_text("no certificate")
    for name in ("door.pem", "none.pem"):
        with pytest.raises(SettingsError, match="certificate"):
            camera_at("rtsps://127.0.0.1:1/x", certificate_file=tmp_path / name)


def test_a_camera_that_comes_back_is_seen_again(clips, started):
    with RtspServer({"/x": clips[Codec.H264]}) as first:
        port = first.port
        camera = started(first.url("/x"), None)
        assert eventually(lambda: camera.standing().state is CoverageState.UP)
    assert eventually(lambda: camera.standing().cause in ("ended", "unreachable"))
    assert camera.standing().state is CoverageState.DOWN
    with RtspServer({"/x": clips[Codec.H264]}, port=port):
        assert eventually(lambda: camera.standing().state is CoverageState.UP)
        assert camera.counts.connections >= 2


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("garbage", "not_a_camera"),
        ("web_server", "not_a_camera"),
        ("wrong_codec", "wrong_codec"),
        ("not_found", "no_such_stream"),
        ("garbage_packets", "garbage"),
        ("hangs_up", "ended"),
        ("stalls", "stalled"),
        ("silent", "unreachable"),
        ("half_key_frames", "no_whole_key_frame"),
        ("undecodable", "undecodable"),
    ],
)
def test_every_failure_has_its_name_and_is_down(monkeypatch, started, script, cause):
    monkeypatch.setattr(stream, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(stream, "KEY_FRAME_SECONDS", 1.5)
    monkeypatch.setattr("renzheng.edge.ward.camera.STARTING_SECONDS", 1.0)
    with BadCamera(script) as bad:
        camera = started(bad.url, None)
        assert eventually(lambda: camera.standing().cause == cause)
        assert camera.standing().state is CoverageState.DOWN
        assert camera.take() is None
        assert eventually(lambda: bad.clients >= 2)  # it is tried again


def test_a_camera_that_restarts_is_noticed_once(started):
    with BadCamera("restarts") as bad:
        camera = started(bad.url, None)
        assert eventually(lambda: camera.counts.restarts == 1)
        time.sleep(0.5)
        assert (camera.counts.restarts, camera.counts.connections) == (1, 1)


def test_nobody_there_is_unreachable(started):
    with BadCamera("silent") as bad:
        url = bad.url
    camera = started(url, None)
    assert eventually(lambda: camera.standing().cause == "unreachable")


def test_a_decoder_that_dies_is_said_to_have_died():
    decoder = Decoder(Codec.H264, lambda _picture: None)
    decoder._process.kill()
    decoder._process.wait()
    with pytest.raises(DecoderError):
        decoder.feed(b"\x00\x00\x00\x01\x65" * 100_000)
    assert not decoder.alive
    decoder.close()


def test_credentials_are_read_from_a_file_that_nobody_else_may_read(tmp_path):
    path = tmp_path / "door.secret"
    path.write_text("viewer\np@ss:word\n", encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_credentials(path)
    path.chmod(0o600)
    assert read_credentials(path) == SHOWN
    with pytest.raises(SettingsError, match="credentials"):
        read_credentials(tmp_path / "none")


def test_pictures_larger_than_needed_are_made_smaller_in_the_decoder(tmp_path):
    large = (np.full((1440, 2560, 3), shade, np.uint8) for shade in range(40, 60))
    clip = encode_large(large, tmp_path / "large.h264")
    shapes = []
    decoder = Decoder(Codec.H264, lambda picture: shapes.append(picture.grey.shape))
    decoder.feed(clip)
    assert eventually(lambda: len(shapes) >= 1)
    decoder.close()
    assert shapes[0] == (1080, 1920)


def encode_large(pictures, path):
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "2560x1440"]
    command += ["-r", "15", "-i", "pipe:0", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", str(path)]
    subprocess.run(command, input=b"".join(one.tobytes() for one in pictures), check=True)
    return path.read_bytes()
