"""Signing in: by a password, a one-time code, a passkey, in one step or two; and showing it once more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from renzheng.central.access import access_log, accounts, factors, one_time_codes, passkeys, sessions
from renzheng.central.access.access_log import Access
from renzheng.central.access.ceremonies import Ceremonies, Ceremony, new_challenge
from renzheng.central.access.errors import PasskeyError
from renzheng.central.access.factors import Factors
from renzheng.central.access.one_time_codes import Sealer, Shown
from renzheng.central.access.passkeys import Answer
from renzheng.central.access.sessions import Came
from renzheng.central.access.shown_once import new_session
from renzheng.central.access.visitors import Visitor
from renzheng.central.store.database import Database
from renzheng.common.relying_party import RelyingParty


@dataclass(frozen=True, slots=True)
class Signed:
    """A session has begun; `shown` is what the browser shows from now on."""

    shown: str
    target: str = "/"


@dataclass(frozen=True, slots=True)
class Halfway:
    """The second factor is asked for; `step` is what the browser shows until then."""

    step: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asks for in a second step, or once more.

    Args:
        factors: what the account has.
        password: it has one.
        options: for its passkey, as JSON; empty where there is none, or the address takes none.
    """

    factors: Factors
    password: bool
    options: str


class SigningIn:
    """Lets people in; every method may wait for the store.

    Args:
        database: the store.
        clock: when it is.
        sealer: opens the secrets of one-time codes.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], sealer: Sealer) -> None:
        self._database, self._clock, self.sealer = database, clock, sealer
        self.ceremonies = Ceremonies()

    def by_password(self, account_id: str, password: str, came: Came, target: str) -> Signed | Halfway | None:
        """Take a password; None when it is not the right one, which takes as long without an account."""
        with self._database.reading() as connection:
            kept = accounts.kept_password(connection, account_id, self._clock())
        if not accounts.knows_password(kept, password):
            return None
        return self.go_on(account_id, came, target, "password")

    def by_first_code(self, code: str, password: str, came: Came) -> Signed | Halfway | None:
        """Choose a password by a one-time code; None when the code does not hold.

        A second factor that the account has is asked for all the same.

        Raises:
            PasswordError: the password cannot be taken; the code still holds.
        """
        with self._database.writing() as connection:
            account_id = accounts.use_code(connection, code, password, self._clock())
            if account_id is not None:
                self._write(connection, account_id, came.address, "password_chosen")
        return self.go_on(account_id, came, "/", "password") if account_id else None

    def account_of_code(self, code: str) -> str | None:
        """Name the account of a one-time code that still holds."""
        with self._database.reading() as connection:
            return accounts.account_of_code(connection, code, self._clock())

    def go_on(
        self,
        account_id: str,
        came: Came,
        target: str,
        way: str,
        *,
        id_token: str | None = None,
        second: bool = True,
    ) -> Signed | Halfway:
        """Begin a session for somebody who is known by a first factor, or ask for the second.

        Args:
            account_id: who.
            came: from where.
            target: where to go on.
            way: by what they are known.
            id_token: of the identity provider.
            second: a second factor that they have is asked for.
        """
        with self._database.reading() as connection:
            held = factors.of_account(connection, account_id)
        if not held or not second:
            return Signed(self.begin(account_id, came, way, id_token), target)
        step = new_session()
        notes = (id_token,) if id_token else ()
        now = self._clock()
        self.ceremonies.put(
            step, Ceremony(came.address, account_id, target, way, notes=notes, began=now), now
        )
        return Halfway(step)

    def begin(self, account_id: str, came: Came, way: str, id_token: str | None = None) -> str:
        """Begin a session for somebody who has shown all that is asked for; return what the browser shows."""
        with self._database.writing() as connection:
            shown = sessions.begin(connection, account_id, self._clock(), came, way=way, id_token=id_token)
            self._write(connection, account_id, came.address, "signed_in", way)
        return shown

    def write(self, account_id: str, address: str, act: str, what: str) -> None:
        """Write into the access log what became of somebody's sign-in."""
        with self._database.writing() as connection:
            self._write(connection, account_id, address, act, what)

    def _write(
        self, connection: sa.Connection, account_id: str, address: str, act: str, what: str = "-"
    ) -> None:
        outcome = "refused" if act.endswith("refused") else "changed"
        told = Access(account_id, (), address, act, what, "own", outcome)
        access_log.append(connection, told, self._clock())

    def halfway(self, step: str) -> Ceremony | None:
        """Return the sign-in that lacks its second factor, if it goes on."""
        found = self.ceremonies.find(step, self._clock())
        return found if found is not None and found.account_id else None

    def ask(self, key: str, account_id: str, party: RelyingParty | None) -> Asked:
        """Return what is asked for of an account, with a new challenge for a ceremony under way."""
        with self._database.reading() as connection:
            held = factors.of_account(connection, account_id)
            has_password = accounts.kept_password(connection, account_id, self._clock()) is not None
            options = ""
            if party is not None and held.passkeys:
                challenge = new_challenge()
                options = passkeys.ask(connection, account_id, party, challenge)
                self.ceremonies.ask(key, challenge, self._clock())
        return Asked(held, has_password, options)

    def second_by_code(self, step: str, code: str, came: Came) -> Signed | Shown:
        """Take the code of an authenticator app, or a recovery code, as the second factor."""
        halfway = self.halfway(step)
        if halfway is None:
            return Shown.WRONG
        shown, way = self._code(halfway.account_id, code, came.address)
        if shown is Shown.RIGHT:
            return self._finish(step, f"{halfway.way} {way}", came)
        self.ceremonies.fail(step, self._clock())
        return shown

    def _code(self, account_id: str, code: str, address: str, *, recovery: bool = True) -> tuple[Shown, str]:
        """Take a code; a wrong one is counted and written down in the same transaction."""
        with self._database.writing() as connection:
            if recovery and one_time_codes.use_recovery_code(connection, account_id, code):
                return Shown.RIGHT, "recovery_code"
            shown = one_time_codes.show(connection, account_id, code, self.sealer, self._clock())
            if shown is Shown.WRONG:
                self._write(connection, account_id, address, "second_factor_refused", "one_time_code")
            return shown, "one_time_code"

    def _finish(self, step: str, way: str, came: Came) -> Signed | Shown:
        done = self.ceremonies.take(step, self._clock())
        if done is None:
            return Shown.WRONG  # two answers at once: the first has it
        with self._database.reading() as connection:
            since, now = done.began or self._clock(), self._clock()
            if not accounts.holds_since(connection, done.account_id, since, now):
                return Shown.WRONG  # disabled, or another password was chosen, since the first step
        id_token = done.notes[0] if done.notes else None
        return Signed(self.begin(done.account_id, came, way, id_token), done.target)

    def second_by_passkey(
        self, step: str, credential: str, party: RelyingParty | None, came: Came
    ) -> Signed | Shown:
        """Take a passkey as the second factor."""
        halfway = self.halfway(step)
        if halfway is None or not self._passkey(step, halfway.account_id, credential, party, came.address):
            self.ceremonies.fail(step, self._clock())
            return Shown.WRONG
        return self._finish(step, f"{halfway.way} passkey", came)

    def _passkey(
        self, key: str, account_id: str | None, credential: str, party: RelyingParty | None, address: str
    ) -> str | None:
        challenge = self.ceremonies.take_challenge(key, self._clock())
        if challenge is None or party is None:
            return None
        try:
            with self._database.writing() as connection:
                return passkeys.show(
                    connection, account_id, Answer(party, challenge, credential), self._clock()
                )
        except PasskeyError as error:
            whose = error.attributes.get("counter") or account_id
            if whose:
                what = "passkey_counter" if error.attributes.get("counter") else "passkey"
                self.write(str(whose), address, "second_factor_refused", what)
            return None

    def ask_alone(self, came: Came, target: str, party: RelyingParty) -> tuple[str, str]:
        """Begin a sign-in by a passkey alone; return what the browser shows until then, and the options."""
        step, challenge = new_session(), new_challenge()
        self.ceremonies.put(step, Ceremony(came.address, target=target, challenge=challenge), self._clock())
        with self._database.reading() as connection:
            return step, passkeys.ask(connection, None, party, challenge)

    def by_passkey(self, step: str, credential: str, party: RelyingParty | None, came: Came) -> Signed | None:
        """Take a passkey alone, whose authenticator knew its user."""
        account_id = self._passkey(step, None, credential, party, came.address)
        done = self.ceremonies.take(step, self._clock())
        if account_id is None or done is None:
            return None
        with self._database.reading() as connection:
            found = accounts.read(connection, account_id)
        if found is None or not found.holds(self._clock()):
            return None
        return Signed(self.begin(account_id, came, "passkey"), done.target)

    def ask_again(self, visitor: Visitor, address: str, party: RelyingParty | None) -> Asked:
        """Return what somebody who is signed in may show once more."""
        key = _again(visitor)
        self.ceremonies.put(key, Ceremony(address, visitor.account_id), self._clock())
        return self.ask(key, visitor.account_id, party)

    def confirm(self, visitor: Visitor, given: "Given", party: RelyingParty | None, address: str) -> Shown:
        """Take what somebody who is signed in shows once more: a password, a code or a passkey."""
        if visitor.session_id is None:
            return Shown.WRONG
        shown = Shown.WRONG
        if given.credential:
            held = self._passkey(_again(visitor), visitor.account_id, given.credential, party, address)
            shown = Shown.RIGHT if held else Shown.WRONG
        elif given.code:
            shown, _ = self._code(visitor.account_id, given.code, address, recovery=False)
        elif self._is_password(visitor.account_id, given.password):
            shown = Shown.RIGHT
        if shown is Shown.RIGHT:
            with self._database.writing() as connection:
                sessions.confirm(connection, visitor.session_id, self._clock())
        return shown

    def _is_password(self, account_id: str, password: str) -> bool:
        with self._database.reading() as connection:
            kept = accounts.kept_password(connection, account_id, self._clock())
        return accounts.knows_password(kept, password)

    def end(self, visitor: Visitor, session_id: str) -> bool:
        """End one of a visitor's own sessions."""
        with self._database.writing() as connection:
            return sessions.end(connection, session_id, visitor.account_id, self._clock())


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody shows once more; the first that is not empty counts, a passkey before a code."""

    password: str = ""
    code: str = ""
    credential: str = ""


def _again(visitor: Visitor) -> str:
    return f"again {visitor.session_id}"
