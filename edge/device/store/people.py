"""Who this kiosk knows: patients, today's roster, references, consents, witnesses and open sessions."""

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlite_utils import Database

from renzheng.contracts.ids import (
    PersonId,
    SessionId,
    WitnessId,
    is_citizen_number,
    new_id,
    normalised_id,
    tidy_id,
)
from renzheng.edge.device import credentials
from renzheng.edge.device.store.database import Also, Store
from renzheng.edge.device.store.person_keys import PersonKeys
from renzheng.edge.errors import CredentialTakenError, UnknownPersonError, UnknownWitnessError
from renzheng.edge.settings import DeviceSettings
from renzheng.models.errors import TemplateDamagedError
from renzheng.models.liveness.challenge import EVERY_ABILITY, Ability
from renzheng.models.protection import TemplateKey, new_key_file, read_key_file, seal, unseal
from renzheng.models.templates import Template

LOGGER = logging.getLogger(__name__)
_KEYED = "k1:"
_NONCE = 12
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}  # about 50 ms and 16 MiB: a nurse waits for it, a guesser of PINs too
NOTICE = "face_recognition"


@dataclass(frozen=True, slots=True)
class Patient:
    """What may stand on the screen of a patient: surname and masked number, nothing more."""

    person_id: PersonId
    surname: str
    masked_number: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A sign-in without a sign-out."""

    session_id: SessionId
    signed_in_at: datetime


@dataclass(frozen=True, slots=True)
class PastSession:
    """A session of the last weeks, open or ended."""

    signed_in_at: datetime
    signed_out_at: datetime | None
    is_open: bool


def mask(number: str) -> str:
    """Show the last four characters of a card number; of a short one, the last two."""
    return "****" + number[-min(4, len(number) // 2) :]


CredentialKind = Literal["e_credential", "network_identity"]


_CREDENTIAL = (
    "SELECT p.* FROM patients p JOIN credentials c USING (person_id) WHERE c.credential_hash IN"
    " (SELECT value FROM json_each(?)) AND c.kind = "
)
_E_CREDENTIAL, _NETWORK_IDENTITY = _CREDENTIAL + "'e_credential'", _CREDENTIAL + "'network_identity'"


def _network_identity(token: str) -> str:
    """Write a token of the service apart from what QR codes hold."""
    return f"network identity\n{token}"


def _credential_hash(content: str) -> str:
    return hashlib.sha256(b"renzheng e-credential " + content.strip().encode()).hexdigest()


def _card_hash(card_number: str) -> str:
    return hashlib.sha256(b"renzheng card " + normalised_id(card_number).encode()).hexdigest()


class People:
    """The kiosk's view of its people, over the device's store.

    Args:
        store: the device's database.
        key: references are encrypted with it, each bound to its person.
    """

    def __init__(self, store: Store, key: TemplateKey) -> None:
        self.store = store
        self._key = key
        self._keys = PersonKeys(store.path.parent / "person-keys", key)
        self._numbers = key.derive(b"numbers")
        self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        """Key the hashes that an earlier version kept, and seal its references under their persons' keys."""
        with self.store.writing() as database:
            for table, column in (("patients", "card_hash"), ("credentials", "credential_hash")):
                plain = self.store.rows(
                    f"SELECT {column} AS plain FROM {table} WHERE {column} NOT LIKE '{_KEYED}%'"  # noqa: S608
                )
                for row in plain:
                    database.execute(
                        f"UPDATE {table} SET {column} = ? WHERE {column} = ?",  # noqa: S608 - our own names
                        (self._keyed(row["plain"]), row["plain"]),
                    )
            for row in self.store.rows("SELECT DISTINCT person_id FROM person_references"):
                if self._keys.find(row["person_id"]) is None:
                    self._seal_anew(database, row["person_id"])
        for row in self.store.rows(
            "SELECT DISTINCT person_id FROM consents WHERE given = 0"
            " AND person_id NOT IN (SELECT person_id FROM person_references)"
        ):
            self._keys.destroy(row["person_id"])  # a withdrawal that a power cut came between

    def _seal_anew(self, database: Database, person_id: str) -> None:
        rows = self.store.rows(
            "SELECT reference_id, template FROM person_references WHERE person_id = ?", person_id
        )
        try:
            plain = [unseal(row["template"], self._key, person_id) for row in rows]
        except TemplateDamagedError:
            LOGGER.warning("references do not open: their key was destroyed, or another template.key is here")
            return
        key = self._keys.find_or_make(person_id)
        for row, template in zip(rows, plain, strict=True):
            sealed = seal(template, key, person_id)
            database.execute(
                "UPDATE person_references SET template = ? WHERE reference_id = ?",
                (sealed, row["reference_id"]),
            )

    def _keyed(self, digest: str, key: bytes | None = None) -> str:
        """Key a hash: card numbers are few enough to try them all against a hash without a key."""
        return _KEYED + hmac.new(key or self._numbers, digest.encode(), hashlib.sha256).hexdigest()

    def _card(self, card_number: str) -> str:
        return self._keyed(_card_hash(card_number))

    def _credential(self, content: str) -> str:
        return self._keyed(_credential_hash(content))

    def _kept_as(self, digest: str) -> str:
        """List, as JSON, the hashes under which a number may be kept: restored ones are under older keys."""
        return json.dumps([self._keyed(digest, key) for key in (self._numbers, *self.older_numbers())])

    def older_numbers(self) -> list[bytes]:
        """The keys under which restored hashes of cards and credentials were made."""
        cipher = AESGCM(self._key.derive(b"older numbers"))
        rows = self.store.rows("SELECT sealed FROM older_number_keys ORDER BY rowid")
        return [cipher.decrypt(row["sealed"][:_NONCE], row["sealed"][_NONCE:], None) for row in rows]

    def know_numbers(self, old: TemplateKey, older: Sequence[bytes]) -> None:
        """Let hashes that another device's key has made be found here too."""
        cipher = AESGCM(self._key.derive(b"older numbers"))
        for numbers in (old.derive(b"numbers"), *older):
            if numbers not in (self._numbers, *self.older_numbers()):
                nonce = secrets.token_bytes(_NONCE)
                with self.store.writing() as database:
                    kept = nonce + cipher.encrypt(nonce, numbers, None)
                    database.execute("INSERT INTO older_number_keys VALUES (?)", (kept,))

    def sealed(self, template: Template, person_id: str) -> bytes:
        """Seal a template under its person's key."""
        return seal(template, self._keys.find_or_make(person_id), person_id)

    def unsealed(self, sealed: bytes, person_id: str) -> Template:
        """Open what `sealed` made.

        Raises:
            TemplateDamagedError: it does not open (any more).
        """
        key = self._keys.find(person_id)
        if key is not None:
            try:
                return unseal(sealed, key, person_id)
            except TemplateDamagedError:  # a start that broke off between the key and what it seals
                return unseal(sealed, self._key, person_id)
        return unseal(sealed, self._key, person_id)

    def put_patient(self, person_id: str, *, surname: str, card_number: str | None) -> Patient:
        """Enter a patient, or correct the entry; the card number itself is not kept, its hash is.

        The id is kept in its one spelling (`contracts.ids.normalised_id`).
        """
        person_id = self._spelling(person_id)
        masked = mask(card_number or person_id)
        with self.store.writing() as database:
            database.execute(
                "INSERT INTO patients VALUES (?, ?, ?, ?) ON CONFLICT (person_id) DO UPDATE SET"
                " surname = excluded.surname, masked_number = excluded.masked_number,"
                " card_hash = excluded.card_hash",
                (person_id, surname, masked, self._card(card_number) if card_number else None),
            )
        return Patient(PersonId(person_id), surname, masked)

    def put_on_roster(self, day: date, person_ids: Sequence[str], *, expected_at: time | None = None) -> None:
        """Say who is expected on a local day, and at what local time if that is known."""
        at = None if expected_at is None else expected_at.isoformat("minutes")
        with self.store.writing() as database:
            for person_id in map(self._spelling, person_ids):
                database.execute(
                    "INSERT INTO roster (day, person_id, expected_at) VALUES (?, ?, ?)"
                    " ON CONFLICT (day, person_id) DO UPDATE"
                    " SET expected_at = coalesce(excluded.expected_at, roster.expected_at)",
                    (day.isoformat(), person_id, at),
                )

    def roster(self, day: date) -> list[Patient]:
        """Those expected on a day, by surname."""
        rows = self.store.rows(
            "SELECT p.* FROM roster r JOIN patients p USING (person_id) WHERE day = ?"
            " ORDER BY surname, masked_number",
            day.isoformat(),
        )
        return [_patient(row) for row in rows]

    def expected_at(self, day: date) -> dict[PersonId, time]:
        """When on a day those are expected of whom the roster says so; local times."""
        rows = self.store.rows(
            "SELECT person_id, expected_at FROM roster WHERE day = ? AND expected_at IS NOT NULL",
            day.isoformat(),
        )
        return {PersonId(row["person_id"]): time.fromisoformat(row["expected_at"]) for row in rows}

    def past_sessions(self, since: datetime) -> dict[PersonId, list[PastSession]]:
        """The sessions that began since a moment, by person; one given up is neither open nor ended."""
        rows = self.store.rows(
            "SELECT person_id, signed_in_at, signed_out_at, given_up FROM sessions WHERE signed_in_at >= ?",
            since.astimezone(UTC).isoformat(),
        )
        found: dict[PersonId, list[PastSession]] = {}
        for row in rows:
            ended = row["signed_out_at"]
            session = PastSession(
                datetime.fromisoformat(row["signed_in_at"]),
                None if ended is None else datetime.fromisoformat(ended),
                is_open=ended is None and not row["given_up"],
            )
            found.setdefault(PersonId(row["person_id"]), []).append(session)
        return found

    def by_id(self, person_id: str) -> Patient:
        """Find a patient.

        Raises:
            UnknownPersonError: there is none of this id.
        """
        return self._one("SELECT * FROM patients WHERE person_id = ?", self._spelling(person_id))

    def _spelling(self, person_id: str) -> str:
        """Return the one spelling of an id, or the one under which an earlier version entered the person.

        A citizen number is put in capitals; in a site's own numbers the case may tell two persons apart.
        """
        held = self.store.row("SELECT person_id FROM patients WHERE person_id = ?", person_id)
        if held is not None:
            return person_id
        capitals = normalised_id(person_id)
        return capitals if is_citizen_number(capitals) else tidy_id(person_id)

    def by_card(self, card_number: str) -> Patient:
        """Find a patient by the number that a card reader types.

        Raises:
            UnknownPersonError: no patient here has this card.
        """
        return self._one(
            "SELECT * FROM patients WHERE card_hash IN (SELECT value FROM json_each(?))",
            self._kept_as(_card_hash(card_number)),
        )

    def by_credential(self, content: str) -> Patient:
        """Find a patient by what the QR code of an e-credential holds.

        Raises:
            UnknownPersonError: no patient here has this e-credential.
        """
        return self._by_credential(content, "e_credential")

    def _by_credential(self, content: str, kind: CredentialKind) -> Patient:
        of_kind = _E_CREDENTIAL if kind == "e_credential" else _NETWORK_IDENTITY
        return self._one(of_kind, self._kept_as(_credential_hash(content)))

    def put_credential(self, person_id: str, content: str, *, kind: CredentialKind = "e_credential") -> None:
        """Enter a patient's e-credential in place of any older one; its content is not kept, its hash is.

        Raises:
            UnknownPersonError: there is no such patient.
            CredentialTakenError: it is another patient's already.
        """
        self.by_id(person_id)
        holder = self.store.row(
            "SELECT person_id FROM credentials WHERE credential_hash IN (SELECT value FROM json_each(?))",
            self._kept_as(_credential_hash(content)),
        )
        if holder is not None and holder["person_id"] != person_id:
            raise CredentialTakenError(
                "This e-credential is another patient's.",
                why="One QR code must name one patient.",
                do="Look at whose code it is; a lent credential is for the bureau to hear of.",
            )
        with self.store.writing() as database:
            database.execute("DELETE FROM credentials WHERE person_id = ? AND kind = ?", (person_id, kind))
            row = (self._credential(content), person_id, kind)
            database.execute("INSERT INTO credentials VALUES (?, ?, ?)", row)

    def by_network_identity(self, token: str) -> Patient:
        """Find a patient by what the national network identity service calls them.

        Raises:
            UnknownPersonError: nobody is entered here under it.
        """
        return self._by_credential(_network_identity(token), "network_identity")

    def put_network_identity(self, person_id: str, token: str) -> None:
        """Enter what the national network identity service calls a patient; raises as `put_credential`."""
        self.put_credential(person_id, _network_identity(token), kind="network_identity")

    def _one(self, sql: str, value: str) -> Patient:
        row = self.store.row(sql, value)
        if row is None:
            raise UnknownPersonError(
                "Nobody of this number is known at this kiosk.",
                why="An attempt without a patient proves nothing.",
                do="Try the card again, pick the name from the roster, or ask the nurse.",
            )
        return _patient(row)

    def abilities(self, person_id: str) -> frozenset[Ability]:
        """What a patient can do when a movement is asked for; everything, unless it is said otherwise."""
        row = self.store.row("SELECT abilities FROM patient_abilities WHERE person_id = ?", person_id)
        return EVERY_ABILITY if row is None else frozenset(Ability(name) for name in row["abilities"].split())

    def put_abilities(self, person_id: str, abilities: frozenset[Ability]) -> None:
        """Say what a patient can do; nothing at all is an answer too.

        Raises:
            UnknownPersonError: there is no such patient.
        """
        self.by_id(person_id)
        with self.store.writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO patient_abilities VALUES (?, ?)",
                (person_id, " ".join(sorted(ability.value for ability in abilities))),
            )

    def add_references(
        self, person_id: str, templates: Sequence[Template], *, source: str, at: datetime
    ) -> Also:
        """Prepare new references; `DeviceLog.append` writes them with the event that tells of them."""

        def write(database: Database) -> None:
            key = self._keys.find_or_make(person_id)
            for template in templates:
                database.execute(
                    "INSERT INTO person_references VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        new_id(),
                        person_id,
                        template.model,
                        seal(template, key, person_id),
                        source,
                        at.isoformat(),
                    ),
                )

        return write

    def references(self, person_id: str, model_id: str) -> list[Template]:
        """The references of a person that this model made; another model's do not compare."""
        rows = self.store.rows(
            "SELECT template FROM person_references WHERE person_id = ? AND model_id = ?"
            " ORDER BY reference_id",
            person_id,
            model_id,
        )
        return [self.unsealed(row["template"], person_id) for row in rows]

    def has_other_references(self, person_id: str, model_id: str) -> bool:
        """Whether a person has references, but none that this model made: they must be enrolled again."""
        row = self.store.row(
            "SELECT SUM(model_id = ?) AS these, COUNT(*) AS every FROM person_references WHERE person_id = ?",
            model_id,
            person_id,
        )
        return row is not None and row["every"] > 0 and row["these"] == 0

    def count_to_enrol_again(self, model_id: str) -> int:
        """How many people have references, but none that this model made."""
        row = self.store.row(
            "SELECT COUNT(*) AS people FROM (SELECT person_id FROM person_references GROUP BY person_id"
            " HAVING SUM(model_id = ?) = 0)",
            model_id,
        )
        return 0 if row is None else int(row["people"])

    def gallery(self, model_id: str) -> list[tuple[PersonId, Template]]:
        """Every reference that this model made, with whose it is."""
        rows = self.store.rows(
            "SELECT person_id, template FROM person_references WHERE model_id = ? ORDER BY reference_id",
            model_id,
        )
        return [
            (PersonId(row["person_id"]), self.unsealed(row["template"], row["person_id"])) for row in rows
        ]

    def put_witness(self, witness_id: str, pin: str) -> None:
        """Enter a witness with a PIN, of which only a salted hash is kept."""
        salt = secrets.token_bytes(16)
        with self.store.writing() as database:
            database.execute(
                "INSERT INTO witnesses VALUES (?, ?, ?) ON CONFLICT (witness_id) DO UPDATE SET"
                " salt = excluded.salt, pin_hash = excluded.pin_hash",
                (witness_id, salt, _pin_hash(pin, salt)),
            )
            # A new PIN opens what strangers' guesses at the old one had closed.
            database.execute("DELETE FROM pin_tries WHERE number = ?", (witness_id,))

    def witness(self, witness_id: str, pin: str) -> WitnessId:
        """Check a witness's PIN.

        Raises:
            UnknownWitnessError: no such witness, or another PIN; the message does not tell which.
        """
        row = self.store.row("SELECT * FROM witnesses WHERE witness_id = ?", witness_id)
        salt, expected = (row["salt"], row["pin_hash"]) if row else (b"\0" * 16, b"")
        if not hmac.compare_digest(_pin_hash(pin, salt), expected):
            raise UnknownWitnessError(
                "Witness number or PIN is not right.",
                why="Whoever vouches for a patient must be known.",
                do="Enter both again; the ward's administrator can set a new PIN.",
            )
        return WitnessId(witness_id)

    def consented(self, person_id: str, notice: str, version: str) -> bool | None:
        """What the patient said to one version of a notice; None when they were not asked."""
        row = self.store.row(
            "SELECT given FROM consents WHERE person_id = ? AND notice = ? AND notice_version = ?",
            person_id,
            notice,
            version,
        )
        return None if row is None else bool(row["given"])

    def put_consent(self, person_id: str, notice: str, version: str, *, given: bool, at: datetime) -> Also:
        """Prepare a consent or refusal, written with its event."""

        def write(database: Database) -> None:
            database.execute(
                "INSERT OR REPLACE INTO consents VALUES (?, ?, ?, ?, ?)",
                (person_id, notice, version, int(given), at.isoformat()),
            )

        return write

    def forget_face(self, person_id: str, notice: str, version: str, *, at: datetime) -> Also:
        """Prepare the withdrawal of a consent: the references go with it."""
        refused = self.put_consent(person_id, notice, version, given=False, at=at)

        def write(database: Database) -> None:
            # An older version's consent must not read as one that is still given.
            database.execute("UPDATE consents SET given = 0 WHERE person_id = ?", (person_id,))
            refused(database)
            database.execute("DELETE FROM person_references WHERE person_id = ?", (person_id,))

        return write

    def forget_older(self, person_id: str, withdrawn_at: datetime) -> Also:
        """Prepare a withdrawal that a later consent has followed: newer references stay, for a new key.

        Until `destroy_key` they are sealed under the device's key alone.
        """

        def write(database: Database) -> None:
            for row in self.store.rows(
                "SELECT reference_id, template, captured_at FROM person_references WHERE person_id = ?",
                person_id,
            ):
                if datetime.fromisoformat(row["captured_at"]) <= withdrawn_at:
                    database.execute(
                        "DELETE FROM person_references WHERE reference_id = ?", (row["reference_id"],)
                    )
                else:
                    sealed = seal(self.unsealed(row["template"], person_id), self._key, person_id)
                    database.execute(
                        "UPDATE person_references SET template = ? WHERE reference_id = ?",
                        (sealed, row["reference_id"]),
                    )

        return write

    def destroy_key(self, person_id: str) -> bool:
        """Destroy a person's key and what the WAL still holds of them; after what has prepared it.

        Returns:
            Whether the WAL was emptied; a reader may keep it for a moment.
        """
        self._keys.destroy(person_id)
        with self.store.writing() as database:
            if self.count_references(person_id):
                self._seal_anew(database, person_id)
        return self.store.forget_deleted()

    def count_references(self, person_id: str) -> int:
        """How many references of a person are here, of any model."""
        row = self.store.row("SELECT COUNT(*) AS n FROM person_references WHERE person_id = ?", person_id)
        return 0 if row is None else int(row["n"])

    def has_key(self, person_id: str) -> bool:
        """Whether a person has a key here."""
        return self._keys.share(person_id) is not None

    def consented_since(self, person_id: str, moment: datetime) -> bool:
        """Whether a person has consented after a moment, and has not refused since."""
        rows = self.store.rows("SELECT given, recorded_at FROM consents WHERE person_id = ?", person_id)
        later = [row for row in rows if datetime.fromisoformat(row["recorded_at"]) > moment]
        return bool(later) and bool(max(later, key=lambda row: row["recorded_at"])["given"])

    def knows(self, person_id: str) -> bool:
        """Whether a person is entered here, or was ever asked."""
        for table in ("patients", "consents"):
            if self.store.row(f"SELECT 1 FROM {table} WHERE person_id = ?", person_id):  # noqa: S608 - ours
                return True
        return False

    def shares(self) -> dict[str, bytes]:
        """The halves of keys to be kept apart from backups, of everybody with references here."""
        rows = self.store.rows("SELECT DISTINCT person_id FROM person_references ORDER BY person_id")
        found = {row["person_id"]: self._keys.share(row["person_id"]) for row in rows}
        return {person: share for person, share in found.items() if share is not None}

    def open_session(self, person_id: str) -> OpenSession | None:
        """The person's session that was signed in and never out; None when there is none."""
        row = self.store.row(
            "SELECT * FROM sessions WHERE person_id = ? AND signed_out_at IS NULL AND given_up = 0"
            " ORDER BY signed_in_at DESC LIMIT 1",
            person_id,
        )
        if row is None:
            return None
        return OpenSession(SessionId(row["session_id"]), datetime.fromisoformat(row["signed_in_at"]))

    def signed_in(self, person_id: str, session_id: str, at: datetime) -> Also:
        """Prepare the opening of a session, written with its sign-in; an older open one is given up."""

        def write(database: Database) -> None:
            database.execute(
                "UPDATE sessions SET given_up = 1 WHERE person_id = ? AND signed_out_at IS NULL", (person_id,)
            )
            database.execute(
                "INSERT INTO sessions (session_id, person_id, signed_in_at) VALUES (?, ?, ?)",
                (session_id, person_id, at.isoformat()),
            )

        return write

    def signed_out(self, session_id: str, at: datetime) -> Also:
        """Prepare the end of a session, written with its sign-out."""

        def write(database: Database) -> None:
            database.execute(
                "UPDATE sessions SET signed_out_at = ? WHERE session_id = ?", (at.isoformat(), session_id)
            )

        return write


def _patient(row: dict[str, str]) -> Patient:
    return Patient(PersonId(row["person_id"]), row["surname"], row["masked_number"])


def _pin_hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, **_SCRYPT)


def people_by_model(store: Store) -> dict[str, int]:
    """Return how many people have references of each model."""
    rows = store.rows(
        "SELECT model_id, COUNT(DISTINCT person_id) AS people FROM person_references GROUP BY model_id"
    )
    return {row["model_id"]: int(row["people"]) for row in rows}


def template_key(path: Path) -> TemplateKey:
    """Read the key of the references; make it at the first start.

    Raises:
        TemplateKeyError: others may read it, or it is no key.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return read_key_file(path) if path.exists() else new_key_file(path)


def open_people(store: Store, device: DeviceSettings) -> People:
    """The people of a device.

    Raises:
        TemplateKeyError: as `template_key`.
    """
    return People(store, device_key(device))


def device_key(device: DeviceSettings) -> TemplateKey:
    """The key that systemd hands over, or the one that a device's settings name.

    Raises:
        TemplateKeyError: as `template_key`.
    """
    handed = credentials.find(credentials.TEMPLATE_KEY)
    if handed is not None:
        return TemplateKey(handed.read_bytes())
    path = device.template_key_file or device.data_dir / credentials.TEMPLATE_KEY
    credentials.tell_if_beside(path, device.data_dir)
    return template_key(path)
