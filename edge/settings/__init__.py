"""The agent's settings: one TOML file, read once. Relative paths are relative to the file's folder."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from renzheng.contracts.events import Purpose
from renzheng.edge.errors import SettingsError
from renzheng.edge.settings.counter import CounterSettings
from renzheng.edge.settings.machine import MachineSettings
from renzheng.edge.settings.network_identity import NetworkIdentitySettings
from renzheng.edge.settings.sections import Section as _Section
from renzheng.edge.settings.sections import anchored as _anchored
from renzheng.edge.settings.ward import WardSettings

TopicLevel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class DeviceSettings(_Section):
    """Which device this is, and where it keeps its things.

    Args:
        time_zone: whose midnight ends the roster's day.
        data_dir: database, keys and evidence; only the agent's user may read it.
        template_key_file: the key under which references are encrypted; beside the database when None, but
            better on another medium: with the key, a stolen database is worth what it holds.
        crop_days: how long a probe's crop is kept, encrypted, on this device.
        entry_days: how long a log entry is kept here after central has it.
        keep_free_megabytes: with less free space, crops go first, then entries that central has.
    """

    device_id: TopicLevel
    institution_id: Annotated[str, Field(min_length=1, max_length=200)]
    purpose: Purpose = Purpose.DIALYSIS
    shard: TopicLevel = "0"
    time_zone: str = "Asia/Shanghai"
    data_dir: Path = Path("data")
    template_key_file: Path | None = None
    crop_days: Annotated[float, Field(gt=0, le=3650)] = 30
    entry_days: Annotated[float, Field(gt=0, le=3650)] = 90
    keep_free_megabytes: Annotated[int, Field(ge=0)] = 300

    anchored = field_validator("data_dir", "template_key_file")(_anchored)


class LinkSettings(_Section):
    """How to reach central; without a `host` the device keeps everything and sends nothing.

    Args:
        protocol: 5, or 3.1.1 for the embedded broker.
        username: None sends no user; `password_file` holds its password.
        ca_file: turns TLS on; with `certificate_file` and `key_file` the device shows its own certificate.
        central_key_file: central's public key (PEM); an acknowledgement that it did not sign is refused.
        progress_seconds: without an acknowledgement for this long, everything since the last is sent again.
    """

    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive_seconds: Annotated[int, Field(ge=5, le=3600)] = 20
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    central_key_file: Path | None = None
    progress_seconds: Seconds = 10
    status_seconds: Seconds = 30
    reconnect_first_seconds: Seconds = 0.5
    reconnect_longest_seconds: Seconds = 60

    anchored = field_validator(
        "password_file", "ca_file", "certificate_file", "key_file", "central_key_file"
    )(_anchored)


class BulkSettings(_Section):
    """Where central's door is, for rosters, rounds and released evidence; without a `url` nothing is fetched.

    Args:
        url: ``https://central.example:8443``, nothing behind the port.
        ca_file: the site's CA (PEM); the link's when None.
        timeout_seconds: for one whole call.
        fetch_seconds: how often today's roster of inpatients is fetched.
        privacy_seconds: how often central is asked for withdrawals and other orders about persons' data.
    """

    url: str | None = None
    ca_file: Path | None = None
    timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 20
    fetch_seconds: Annotated[float, Field(ge=10, le=86_400)] = 300
    privacy_seconds: Annotated[float, Field(ge=5, le=300)] = 60

    anchored = field_validator("ca_file")(_anchored)


class CoverageSettings(_Section):
    """How often the agent beats and tells.

    Args:
        page_expected: a kiosk whose page is not connected cannot see anybody and is `down`. False for a
            device without a page of its own.
    """

    beat_seconds: Seconds = 10
    longest_silence_seconds: Seconds = 60
    tell_every_seconds: Seconds = 900
    page_expected: bool = True


class KioskSettings(_Section):
    """How a visit at the kiosk goes.

    Args:
        port: 0 takes a free one.
        tries: failed attempts before the other way is asked for; it is offered on every screen anyway.
        attempt_seconds: how long one look may take.
        idle_seconds: without a touch or a face for this long, a screen asks whether more time is needed.
        already_minutes: a patient who comes again this soon is told that they are signed in already.
        open_too_long_hours: a session open for longer asks for the nurse.
        frames_per_second: what the page sends at most.
        unshown_liveness: what becomes of a match that shows nothing living: `refuse` it (a failed try, then
            the other way), or sign in and `record` it as not shown, for the audit to weigh.
        sleep_seconds: the screen goes dark when nobody stirs for this long; 0 never sleeps.
        wake_on_motion: while dark, the camera looks twice a second for movement (never for a face); without
            it a touch or a key wakes the kiosk.
        comfort: what every visit begins with: `larger` type, `low` controls (wheelchair), `left` hand, one
            `switch`; each can be changed on the page and comes back after a minute without a touch.
        switch_seconds: how long the one switch stays on a control.
        sound: prompts are spoken until somebody mutes them; every visit begins so.
        address_file: where the page's one-time start address is written for the browser; without one, in the
            service's folder under /run, and where there is none, every page of this machine is let in.
        voices_dir: recorded clips of the site's own, `<language>/<key>.wav`; they go before rendered ones.
    """

    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8600
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    attempt_seconds: Annotated[float, Field(ge=3, le=120)] = 12
    idle_seconds: Annotated[float, Field(ge=30, le=600)] = 45
    done_seconds: Annotated[float, Field(ge=2, le=60)] = 6
    already_minutes: Annotated[float, Field(ge=0, le=120)] = 10
    open_too_long_hours: Annotated[float, Field(gt=0, le=72)] = 12
    frames_per_second: Annotated[int, Field(ge=2, le=30)] = 12
    notice_version: Annotated[str, Field(min_length=1, max_length=40)] = "1"
    unshown_liveness: Literal["refuse", "record"] = "refuse"
    sleep_seconds: Annotated[float, Field(ge=0, le=86_400)] = 120
    wake_on_motion: bool = True
    comfort: tuple[Literal["larger", "low", "left", "switch"], ...] = ()
    switch_seconds: Annotated[float, Field(ge=0.3, le=30)] = 1.8
    sound: bool = True
    voices_dir: Path | None = None
    address_file: Path | None = None

    anchored = field_validator("voices_dir", "address_file")(_anchored)


class BedsideSettings(_Section):
    """The inspector's page (`renzheng edge bedside`).

    Args:
        host: loopback for a tablet that runs the agent itself; an address of the site's network for tablets
            and telephones, then with a certificate of the site's own CA.
        port: 0 takes a free one.
        certificate_file: the page's certificate with what stands above it (PEM); `key_file` its private key.
        idle_minutes: a sign-in that was silent for this long is over.
        fetch_seconds: how often central is asked for rounds and for the codes of those that are due.
        attempt_seconds: how long one look may take.
        sheet_days: how long after its close a round's list stays on the device, readable by its key only.
        page_clock_tolerance_seconds: a page whose clock is further off than this is not trusted in its times.
    """

    host: Annotated[str, Field(min_length=1, max_length=100)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8610
    certificate_file: Path | None = None
    key_file: Path | None = None
    idle_minutes: Annotated[float, Field(gt=0, le=720)] = 15
    fetch_seconds: Annotated[float, Field(ge=5, le=86_400)] = 60
    attempt_seconds: Annotated[float, Field(ge=3, le=120)] = 12
    sheet_days: Annotated[float, Field(ge=1, le=3650)] = 30
    page_clock_tolerance_seconds: Seconds = 30

    anchored = field_validator("certificate_file", "key_file")(_anchored)

    @model_validator(mode="after")
    def _secure(self) -> "BedsideSettings":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if self.certificate_file is None and self.host not in LOOPBACK:
            raise ValueError(
                f"{self.host} without certificate_file and key_file: browsers give camera, offline use and"
                " encryption to HTTPS and loopback pages only, and names and PINs would cross the network"
                " in the clear"
            )
        return self


class CameraSettings(_Section):
    """Whose camera the kiosk uses.

    Args:
        source: ``browser``: the page's own; ``v4l2:/dev/video0``, ``rtsp://user@host/path``: the agent's; for
            tests ``file:PATH``, a picture, a video or a folder of pictures.
        password_file: the password of an RTSP camera; better there than in the address.
    """

    source: Annotated[str, Field(pattern=r"^(browser|v4l2:.+|rtsps?://.+|file:.+)$")] = "browser"
    password_file: Path | None = None

    anchored = field_validator("password_file")(_anchored)


class FaceSettings(_Section):
    """The face engine, and what it is asked for.

    Args:
        engine: `best` takes the best engine whose model files are on this machine, and on a device where
            people are enrolled the one that their references are of; or an engine's name, as in
            `renzheng models bench`. References of another engine are never compared: their people are
            enrolled again.
        false_match_rate: a score that impostors reach at this rate is a match.
        model_dir: a folder with model files, looked into before this machine's own.
    """

    engine: Annotated[str, Field(pattern="^[a-z0-9-]{1,40}$")] = "best"
    false_match_rate: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    model_dir: Path | None = None

    anchored = field_validator("model_dir")(_anchored)


class Settings(_Section):
    """Everything one agent needs to know."""

    device: DeviceSettings
    link: LinkSettings = LinkSettings()
    bulk: BulkSettings = BulkSettings()
    bedside: BedsideSettings = BedsideSettings()
    counter: CounterSettings = CounterSettings()
    network_identity: NetworkIdentitySettings = NetworkIdentitySettings()
    machine: MachineSettings = MachineSettings()
    coverage: CoverageSettings = CoverageSettings()
    kiosk: KioskSettings = KioskSettings()
    camera: CameraSettings = CameraSettings()
    ward: WardSettings = WardSettings()
    face: FaceSettings = FaceSettings()

    @model_validator(mode="before")
    @classmethod
    def _engine_of_the_ward(cls, values: Any) -> Any:
        """Read `ward.engine` of older files as `face.engine`, where the latter is not set."""
        ward = values.get("ward") if isinstance(values, dict) else None
        if not isinstance(ward, dict) or "engine" not in ward:
            return values
        ward = dict(ward)
        face = {"engine": ward.pop("engine"), **values.get("face", {})}
        return {**values, "ward": ward, "face": face}


def load_settings(path: Path) -> Settings:
    """Read a settings file.

    Raises:
        SettingsError: it is missing, no TOML, or holds a value or a key that is not known; each is named.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return Settings.model_validate(values, context={"folder": path.resolve().parent})
    except OSError as error:
        raise SettingsError(
            f"The settings file {path} cannot be read: {error.strerror}.", do="Give its path with --config."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}.", do="Mend the line it names.") from None
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found)
        raise SettingsError(f"{path} cannot be used: {listed}.", do="Mend these keys.") from None
