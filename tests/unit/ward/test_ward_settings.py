"""A camera's settings: private places, passwords in addresses and lines without sides are refused by name."""

import pytest

from renzheng.edge.errors import SettingsError
from renzheng.edge.settings import load_settings

HEAD = '[device]\ndevice_id = "ward-1"\ninstitution_id = "H1"\npurpose = "inpatient"\n'
CAMERA = {
    "id": '"door"',
    "url": '"rtsp://10.0.0.7:554/main"',
    "ward": '"3"',
    "place": '"entrance"',
    "line": "{start = [0.1, 0.5], end = [0.9, 0.5], inside = [0.5, 0.1]}",
}


def load(tmp_path, *cameras, ward=""):
    text = HEAD + f"[ward]\n{ward}\n"
    for camera in cameras:
        text += "[[ward.cameras]]\n" + "".join(f"{key} = {value}\n" for key, value in camera.items())
    path = tmp_path / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_a_camera_at_an_entrance_is_read(tmp_path):
    settings = load(tmp_path, CAMERA | {"credentials_file": '"door.secret"'})
    (camera,) = settings.ward.cameras
    assert camera.credentials_file == tmp_path / "door.secret"
    assert (camera.mode, camera.frames_per_second) == ("keyframes", 1.0)
    assert settings.ward.expected_false_matches == 1e-3


@pytest.mark.parametrize("place", ["bed", "room", "toilet", "treatment", "bathroom", "ward", "病房", ""])
def test_a_private_place_is_refused_with_the_law(tmp_path, place):
    with pytest.raises(SettingsError, match="Order 19"):
        load(tmp_path, CAMERA | {"place": f'"{place}"'})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"url": '"rtsp://admin:hunter2@10.0.0.7/main"'}, "credentials_file"),
        ({"url": '"http://10.0.0.7/main"'}, "rtsp"),
        ({"url": '"rtsp://10.0.0.7:99999/main"'}, "rtsp"),
        ({"place": '"corridor"'}, "entrance"),
        ({"line": "{start = [0.1, 0.5], end = [0.1, 0.5], inside = [0.5, 0.1]}"}, "inside"),
        ({"line": "{start = [0.1, 0.5], end = [0.9, 0.5], inside = [0.5, 0.5]}"}, "inside"),
        ({"region": "[0.5, 0.0, 0.5, 1.0]"}, "region"),
        ({"mode": '"all"'}, "mode"),
        ({"bed": '"12"'}, "bed"),
        ({"certificate_file": '"door.pem"'}, "rtsps"),
    ],
)
def test_what_is_wrong_is_named_and_no_password_is_repeated(tmp_path, changed, named):
    with pytest.raises(SettingsError, match=named) as refused:
        load(tmp_path, CAMERA | changed)
    assert "hunter2" not in str(refused.value)


def test_two_cameras_of_one_name_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="same id"):
        load(tmp_path, CAMERA, CAMERA)


def test_a_camera_that_takes_half_of_all_strangers_for_patients_cannot_be_set(tmp_path):
    with pytest.raises(SettingsError, match="expected_false_matches"):
        load(tmp_path, CAMERA, ward="expected_false_matches = 0.5")
