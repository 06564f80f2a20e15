"""The settings file: what is wrong with it is named, paths are relative to it."""

import pytest

from renzheng.edge.errors import SettingsError
from renzheng.edge.settings import load_settings

GOOD = """
[device]
device_id = "kiosk-01"
institution_id = "H1"
data_dir = "state"
[link]
host = "broker.example"
ca_file = "ca.pem"
"""


def test_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "edge.toml"
    path.write_text(GOOD, encoding="utf-8")
    settings = load_settings(path)
    assert settings.device.data_dir == tmp_path / "state"
    assert settings.link.ca_file == tmp_path / "ca.pem"
    assert settings.face.false_match_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[device]\ndevice_id = 'a b'\ninstitution_id = 'H1'", "device.device_id"),
        ("[device]\ndevice_id = 'a'\ninstitution_id = 'H1'\nbed = 7", "device.bed"),
        ("[device]\ndevice_id = 'a'\ninstitution_id = 'H1'\n[kiosk]\nhost = '0.0.0.0'", "kiosk.host"),
        ("[device]\ndevice_id = 'a'\ninstitution_id = 'H1'\n[kiosk]\nidle_seconds = 5", "kiosk.idle_seconds"),
        ("device_id = ", "no TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, named):
    path = tmp_path / "edge.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=named):
        load_settings(path)


def test_a_missing_file_is_an_error_a_person_can_act_on(tmp_path):
    with pytest.raises(SettingsError, match="--config"):
        load_settings(tmp_path / "none.toml")
