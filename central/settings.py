"""What the central service is told at start: one TOML file, read once and checked as a whole."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from renzheng.central.errors import SettingsError
from renzheng.contracts.errors import InputError
from renzheng.contracts.ids import topic_level

LOOPBACK = ("127.0.0.1", "::1", "localhost")


_M = TypeVar("_M", bound=BaseModel)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BrokerSettings(_Settings):
    """Where the broker is and how to show who we are.

    Args:
        protocol: MQTT version; the embedded broker speaks 3.1.1 only.
        ca_file: the site's CA (PEM); with it the link is TLS, without it plain and for loopback only.
        password_file: a file that holds the password of `username`, for brokers without certificates.
        lists_dir: folder in which central keeps the broker's lists of who is put out; ``broker`` in the data
            folder when it is not set.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["5", "3.1.1"] = "5"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    lists_dir: Path | None = None

    @model_validator(mode="after")
    def _plain_stays_home(self) -> Self:
        if self.ca_file is None and self.host not in LOOPBACK:
            raise ValueError("without ca_file the link is not encrypted, so host must be loopback")
        return self


class SiteSettings(_Settings):
    """How devices reach this site.

    Args:
        name: the site's name, in its CA's certificate.
        broker_host: the broker as devices find it, and as its certificate names it.
        listen_host: address on which devices may join with a code; None leaves joining off.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")] = "site"
    broker_host: str = "127.0.0.1"
    broker_port: Annotated[int, Field(ge=1, le=65535)] = 8883
    listen_host: str | None = None
    listen_port: Annotated[int, Field(ge=0, le=65535)] = 8701


class AdtSettings(_Settings):
    """Where hospital systems deliver their ADT messages (HL7 v2 over MLLP).

    Args:
        port: where central listens; None leaves it off, 0 takes a free one.
        certificate_file: with it and `key_file` the link is TLS; an address other than loopback needs them,
            or `plain` where the network itself is closed.
        client_ca_file: whose certificates callers must show.
        callers: what each may speak for: the certificate's common name, and institutions. A certificate that
            is not named here is answered AE, whatever it is good for elsewhere.
        mapping_file: where a hospital's messages keep their ids (`[hl7]` of a mapping file).
        institution: of messages that do not name theirs.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    callers: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}
    plain: bool = False
    mapping_file: Path | None = None
    institution: str | None = None

    @model_validator(mode="after")
    def _plain_is_meant(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("client_ca_file needs certificate_file and key_file")
        if self.callers and self.client_ca_file is None:
            raise ValueError("callers are known by their certificates, so they need client_ca_file")
        if self.host not in LOOPBACK and self.client_ca_file is None and not self.plain:
            raise ValueError("a host other than loopback needs client_ca_file, or plain = true")
        if self.certificate_file is None and self.host not in LOOPBACK and not self.plain:
            raise ValueError("a host other than loopback needs certificate_file, or plain = true")
        return self


class BackupSettings(_Settings):
    """How often this site backs central up.

    Args:
        interval_hours: devices let go of entries and keys only once a checkpoint that holds them is older
        than
            this, and than the latest `renzheng central backup`.
    """

    interval_hours: Annotated[float, Field(gt=0, le=24 * 366)] = 24.0

    @property
    def interval(self) -> timedelta:
        """The interval as a duration."""
        return timedelta(hours=self.interval_hours)


class ArchiveSettings(_Settings):
    """What stays in the store after it was archived.

    Args:
        keep_years: entries of so many closed years are not pruned; at least the last one stays.
    """

    keep_years: Annotated[int, Field(ge=1, le=100)] = 1


class CropSettings(_Settings):
    """How crops are released by devices for a doubt or finding.

    Args:
        second_person: another person than the one who asks has to allow it.
        show_within_hours: a released crop that nobody has looked at is deleted after so long.
    """

    second_person: bool = True
    show_within_hours: Annotated[int, Field(ge=1, le=720)] = 72


class RetentionSettings(_Settings):
    """How long central keeps what it deletes by itself, in days; the whole table: `/privacy/retention`.

    Args:
        stay_names_days: names and numbers of inpatients, after their discharge.
        consents_days: what was said to a notice and holds no longer.
        withdrawals_days: withdrawals and the certificates of their devices.
        sessions_days: sessions of accounts, after they were last used.
        checks_days: what was asked before and during treatment, advised and answered.
        backups_days: backups that are older are named until somebody destroys them.
        accounts_years: how long what accounts rest on is kept by law, from the end of its year; 30 years for
            vouchers and ledgers (Measures on accounting files, order 79 of the Ministry of Finance, 2015).
        answer_working_days: within which a person's request is answered.
    """

    stay_names_days: Annotated[int, Field(ge=30, le=3660)] = 365
    consents_days: Annotated[int, Field(ge=1095, le=7320)] = 1095
    withdrawals_days: Annotated[int, Field(ge=1095, le=7320)] = 1095
    sessions_days: Annotated[int, Field(ge=1, le=3660)] = 90
    checks_days: Annotated[int, Field(ge=30, le=7320)] = 1095
    backups_days: Annotated[int, Field(ge=1, le=3660)] = 90
    accounts_years: Annotated[int, Field(ge=1, le=100)] = 30
    answer_working_days: Annotated[int, Field(ge=1, le=60)] = 15


class AuditSettings(_Settings):
    """What the nightly run reads besides the store.

    Args:
        tables_dir: folder with the imported canonical tables; empty: `tables` under the data folder.
        rules_dir: the rule pack; None is the one that comes with the product.
        region: region code whose overrides apply; None applies none.
        margin_days: attendance and coverage of so many days before and after are looked at too, since a
            session may cross midnight, a line may be billed late, and lines near by compete for sessions.
        rules_key_file: the bureau's public keys (PEM); with it, rules of `rules_dir` and of the region are
            refused unless the bureau signed them.
        rule_seconds: longest time for one rule; one that takes longer is stopped, and named as failed.
        memory_limit: most memory DuckDB may take, such as `5GB`; empty: 6 GB, or less on a small machine.
        keep_runs: the tables of so many runs are kept at least, newest first; beyond them only those of runs
            by which a day or a case still speaks.
    """

    tables_dir: Path | None = None
    rules_dir: Path | None = None
    region: str | None = None
    engine: Literal["duckdb", "spark"] = "duckdb"
    rules_key_file: Path | None = None
    rule_seconds: Annotated[float, Field(gt=0)] = 900.0
    memory_limit: str | None = None
    margin_days: Annotated[int, Field(ge=35, le=124)] = 45
    keep_runs: Annotated[int, Field(ge=1, le=10_000)] = 30


class OidcSettings(_Settings):
    """The bureau's own identity provider (OpenID Connect); people sign in there.

    Args:
        issuer: its address, `https` but on loopback; nothing is asked of any other.
        client_id: as which central is registered there.
        client_secret_file: a file with the client's secret; None for a public client.
        name: what the link on the sign-in page calls it.
        scopes: asked for beside `openid`.
        account_claim: the claim by which a new account is named.
        roles_claim: the claim with roles, a text or a list of them.
        roles: from its values to roles; other values give none.
        institution_claim: the claim with the institutions of hospital offices, doctors and third parties.
        asks_for_second_factor: it asks for one itself, so that central need not.
        ca_file: the CA of its certificate (PEM) where the machine does not know it.
    """

    issuer: str
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: Path | None = None
    name: str = "OpenID Connect"
    scopes: tuple[str, ...] = ("profile",)
    account_claim: str = "preferred_username"
    roles_claim: str = "roles"
    roles: Annotated[dict[str, str], Field(min_length=1)]
    institution_claim: str = "institution"
    asks_for_second_factor: bool = False
    ca_file: Path | None = None

    @field_validator("issuer")
    @classmethod
    def _issuer_is_known_to_be_itself(cls, issuer: str) -> str:
        place = urlsplit(issuer)
        if place.scheme != "https" and not (place.scheme == "http" and place.hostname in LOOPBACK):
            raise ValueError("the issuer's address begins with https://, but on loopback")
        return issuer


class CheckSettings(_Settings):
    """What this site has decided about checks before and during treatment.

    Args:
        blocks: points of power `block` may block, once their announced day has come; else they warn.
        deadline_ms: a check that takes longer is answered with "no advice".
        scenarios: the stage of each `trig_scen` of the national interface, as the region has it; else 3101 is
            before and 3102 during.
    """

    blocks: bool = False
    deadline_ms: Annotated[int, Field(ge=50, le=10_000)] = 800
    scenarios: dict[str, Literal["before", "during"]] = {}


class MailSettings(_Settings):
    """The site's own SMTP server, and whom it tells.

    Args:
        host: the server.
        port: its port.
        security: `starttls`, `tls` from the first byte, or `none` for a server on this machine.
        username: with the password in `password_file`, for servers that ask for one.
        sender: the address from which mails come.
        bureau: addresses of the bureau.
        institutions: addresses by institution.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password_file: Path | None = None
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    bureau: tuple[str, ...] = ()
    institutions: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _plain_stays_home(self) -> Self:
        if self.security == "none" and self.host not in LOOPBACK:
            raise ValueError("without TLS the mail server must be on this machine")
        return self


class WebHookSettings(_Settings):
    """An address of the site's own to which notices are posted: kinds and ids, nothing of a person.

    Args:
        url: begins with https, or is on this machine.
        secret_file: with it each body is signed (HMAC-SHA256, header X-Renzheng-Signature).
    """

    url: Annotated[str, Field(pattern=r"^(https://|http://(127\.0\.0\.1|localhost)[:/])")]
    secret_file: Path | None = None


class CaseSettings(_Settings):
    """What cases need of the site.

    Args:
        font: a font file that covers Chinese, for letters as PDF; None takes the system's Noto CJK.
        scanner: the site's scanner for files that are handed in: program and arguments, to which the path is
            added; 0 lets a file pass. Empty scans nothing.
        scanner_seconds: after which it is ended, and the file not taken.
        mail: how notices are sent by mail; None sends none.
        web_hook: where notices are posted; None posts none.
    """

    font: Path | None = None
    scanner: tuple[str, ...] = ()
    scanner_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    mail: MailSettings | None = None
    web_hook: WebHookSettings | None = None


class Settings(_Settings):
    """Everything the central service is told.

    Args:
        data_dir: store, keys, audit runs.
        database_url: SQLAlchemy address; empty is SQLite in the data folder.
        shards: one consumer each; a device belongs to one shard.
        host: address of console and API; anything but loopback needs `accounts_only`, or `access_token_file`.
        public_url: how people find the console, such as `https://audit.example.cn`; empty: host and port.
        access_token_file: a file that holds a token by which programs read; while there is no account, people
            sign in with it too.
        accounts_only: everybody needs an account from the first start on, on loopback too.
        second_factor: who needs one beside the password: nobody, `deciding` (roles that decide,
            administrators and data protection), or everybody.
        timezone: the time zone of service days where an institution names none.
    """

    data_dir: Path
    database_url: str = ""
    shards: Annotated[tuple[str, ...], Field(min_length=1)] = ("0",)
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8700
    public_url: str = ""
    access_token_file: Path | None = None
    accounts_only: bool = False
    second_factor: Literal["optional", "deciding", "everybody"] = "optional"
    timezone: str = "Asia/Shanghai"
    broker: BrokerSettings = BrokerSettings()
    audit: AuditSettings = AuditSettings()
    cases: CaseSettings = CaseSettings()
    site: SiteSettings = SiteSettings()
    adt: AdtSettings = AdtSettings()
    backup: BackupSettings = BackupSettings()
    archive: ArchiveSettings = ArchiveSettings()
    oidc: OidcSettings | None = None
    retention: RetentionSettings = RetentionSettings()
    crops: CropSettings = CropSettings()
    checks: CheckSettings = CheckSettings()

    @field_validator("shards")
    @classmethod
    def _shards_are_topic_levels(cls, shards: tuple[str, ...]) -> tuple[str, ...]:
        for shard in shards:
            try:
                topic_level(shard, "shard")
            except InputError as error:
                raise ValueError(str(error)) from None
        return shards

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{timezone!r} is no time zone of the IANA list") from error
        return timezone

    @model_validator(mode="after")
    def _open_only_with_a_token(self) -> Self:
        if self.host not in LOOPBACK and self.access_token_file is None and not self.accounts_only:
            raise ValueError("a host other than loopback needs accounts_only = true, or access_token_file")
        return self

    @model_validator(mode="after")
    def _provider_knows_where_to_send_back(self) -> Self:
        if self.oidc is not None and not self.public_url:
            raise ValueError("oidc needs public_url: the identity provider sends people back to it")
        return self

    @property
    def database(self) -> str:
        """SQLAlchemy address of the store."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'central.sqlite').resolve()}"

    @property
    def key_file(self) -> Path:
        """Central's signing key (PKCS #8, PEM, mode 600)."""
        return self.data_dir / "keys" / "central.pem"

    @property
    def second_factor_key_file(self) -> Path:
        """The key under which secrets of one-time codes are sealed (32 bytes, mode 600)."""
        return self.data_dir / "keys" / "second_factor.key"

    @property
    def checkpoints_dir(self) -> Path:
        """Folder where checkpoints are published."""
        return self.data_dir / "checkpoints"

    @property
    def log_origin(self) -> str:
        """The name of this site's tree of heads, in its checkpoints."""
        return f"renzheng/{self.site.name}"

    @property
    def site_dir(self) -> Path:
        """Folder of the site's CA and certificates."""
        return self.data_dir / "site"

    @property
    def lists_dir(self) -> Path:
        """Folder of the broker's lists, written anew at every revocation."""
        return self.broker.lists_dir or self.data_dir / "broker"

    @property
    def tables_dir(self) -> Path:
        """Folder of the imported canonical tables."""
        return self.audit.tables_dir or self.data_dir / "tables"

    @property
    def lake_dir(self) -> Path:
        """Folder of the lake: the canonical tables, by service day and region."""
        return self.data_dir / "lake"

    @property
    def months_dir(self) -> Path:
        """Folder of the files that lists are read from (`central/lists`); made again from the store."""
        return self.data_dir / "lists"

    @property
    def shares_dir(self) -> Path:
        """Folder of the halves of persons' keys (`central/privacy/shares.py`); in no backup."""
        return self.data_dir / "person-shares"

    @property
    def knowledge_dir(self) -> Path:
        """Folder of the site's knowledge packs."""
        return self.data_dir / "knowledge"

    @property
    def checks_dir(self) -> Path:
        """Folder of what checks read and keep: the history, and what was asked, advised and answered."""
        return self.data_dir / "checks"

    @property
    def crops_dir(self) -> Path:
        """Folder of sealed crops that wait to be shown (`central/privacy/crops.py`); in no backup."""
        return self.data_dir / "released-crops"

    @property
    def crops_key_file(self) -> Path:
        """The bureau's key to which devices seal crops (X25519, raw)."""
        return self.crops_dir / ".recipient.key"

    @property
    def runs_dir(self) -> Path:
        """Folder of the audit runs: the tables that each read and what it wrote."""
        return self.data_dir / "runs"


def read_settings(path: Path) -> Settings:
    """Read the configuration file; relative paths in it are relative to the file.

    Raises:
        SettingsError: it cannot be read, is no TOML, or breaks the model; every problem is named.
    """
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"The configuration {path} cannot be read: {error}.", do="Make one with: renzheng central init"
        ) from error
    return _absolute(make_settings(value, f"The configuration {path}"), path.resolve().parent)


def make_settings(value: Mapping[str, Any], origin: str = "What was given") -> Settings:
    """Check settings given as plain values.

    Raises:
        SettingsError: they break the model; every problem is named.
    """
    try:
        return Settings.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in found)
        raise SettingsError(f"{origin} is wrong: {problems}.") from None


def _absolute(settings: Settings, folder: Path) -> Settings:
    def fixed(model: _M) -> _M:
        values = {name: getattr(model, name) for name in type(model).model_fields}
        changed = {name: folder / value for name, value in values.items() if isinstance(value, Path)}
        return model.model_copy(update=changed)

    return fixed(settings).model_copy(
        update={
            "broker": fixed(settings.broker),
            "audit": fixed(settings.audit),
            "adt": fixed(settings.adt),
            "oidc": fixed(settings.oidc) if settings.oidc else None,
        }
    )


def write_settings(settings: Settings, path: Path) -> None:
    """Write a configuration file with what differs from the defaults."""
    value = settings.model_dump(mode="json", exclude_defaults=True)
    tables = {name: part for name, part in value.items() if isinstance(part, dict)}
    lines = [f"{name} = {_toml(part)}" for name, part in value.items() if name not in tables]
    for name, part in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(item)}" for key, item in part.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
