"""`renzheng central account`: who may sign in, and in which roles."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from renzheng.central.access.roles import Permission, Role
from renzheng.central.shell import SHELL, open_store
from renzheng.common.terminal import Terminal, table
from renzheng.common.words import say
from renzheng.contracts.events import utc_now

if TYPE_CHECKING:
    from renzheng.central.settings import Settings

app = typer.Typer(no_args_is_help=True)
Config = Annotated[Path, typer.Option("--config", help="Central's configuration file.")]
CONFIG = Path("central.toml")
Name = Annotated[str, typer.Argument(help="The account's name.")]
Days = Annotated[int, typer.Option(min=1, max=3660, help="For how many days the token holds.")]
DAY = ["%Y-%m-%d"]


@app.callback()
def overview() -> None:
    """Say who may sign in at central, and in which roles."""


def _note(connection: object, act: str, what: str) -> None:
    """Write a change to an account into the access log."""
    import sqlalchemy as sa

    from renzheng.central.access import access_log
    from renzheng.central.access.access_log import Access

    assert isinstance(connection, sa.Connection)
    told = Access(SHELL, (), "-", act, what, "accounts", "changed")
    access_log.append(connection, told, utc_now())


def first_address(base: str, code: str) -> str:
    """Return the address at which somebody signs in for the first time and chooses a password."""
    return f"{base.rstrip('/')}/first?code={code}"


def _base(settings: "Settings") -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"


@app.command()
def add(  # noqa: PLR0917 - each is an option
    name: Name,
    role: Annotated[list[Role], typer.Option(help="A role; may be given again.")],
    config: Config = CONFIG,
    institution: Annotated[
        list[str] | None, typer.Option(help="Registered with this institution, and sees its rows only.")
    ] = None,
    tie: Annotated[
        list[str] | None,
        typer.Option(
            help="A declared tie to this institution; decides nothing about it. May be given again."
        ),
    ] = None,
    token: Annotated[
        bool,
        typer.Option("--token", help="For a program: print a bearer token instead of a sign-in address."),
    ] = False,
    days: Days = 365,
    scope: Annotated[
        list[Permission] | None,
        typer.Option(help="The token is for this permission only; may be given again."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=DAY, help="The account holds from this day on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=DAY, help="Its last day (UTC); a third party's account needs one."),
    ] = None,
) -> None:
    """Make an account; prints a one-time sign-in address, or a bearer token, that is shown once."""
    from renzheng.central.access import accounts
    from renzheng.central.access.accounts import Kind, New

    settings, database = open_store(config)
    kind: Kind = "program" if token else "person"
    new = New(
        name,
        frozenset(role),
        frozenset(institution or ()),
        frozenset(tie or ()),
        kind,
        since.replace(tzinfo=UTC) if since else None,
        until.replace(tzinfo=UTC) + timedelta(days=1) if until else None,
    )
    now = utc_now()
    with database.writing() as connection:
        accounts.add(connection, new, SHELL, now)
        _note(connection, "account_added", f"{name}: {' '.join(sorted(role))}")
        shown = (
            accounts.give_token(connection, name, now, days=days, scopes=scope)
            if token
            else first_address(_base(settings), accounts.give_code(connection, name, now))
        )
    Terminal().print(say("token {0}", shown) if token else say("first sign-in, within 24 hours: {0}", shown))


@app.command("role")
def change_role(
    name: Name,
    role: Annotated[list[Role] | None, typer.Option(help="Give this role; may be given again.")] = None,
    remove: Annotated[list[Role] | None, typer.Option(help="Take this role; may be given again.")] = None,
    config: Config = CONFIG,
) -> None:
    """Give an account roles, or take them; without either its roles are shown."""
    from renzheng.central.access import accounts

    _, database = open_store(config)
    with database.writing() as connection:
        for one in remove or ():
            accounts.take_away(connection, name, one)
            _note(connection, "account_role_taken", f"{name}: {one}")
        for one in role or ():
            accounts.grant(connection, name, one, SHELL, utc_now())
            _note(connection, "account_role_given", f"{name}: {one}")
        found = accounts.must_read(connection, name)
    Terminal().print(f"{name}  {' '.join(sorted(found.roles)) or '-'}")


@app.command("disable")
def disable_account(name: Name, config: Config = CONFIG) -> None:
    """Disable an account: its sessions and tokens end at once. The access log goes on to name it."""
    from renzheng.central.access import accounts

    _, database = open_store(config)
    with database.writing() as connection:
        accounts.disable(connection, name, utc_now())
        _note(connection, "account_disabled", name)
    Terminal().print(say("{0} is disabled", name))


@app.command("enable")
def enable_account(name: Name, config: Config = CONFIG) -> None:
    """Let a disabled account be used again; prints a new one-time sign-in address."""
    from renzheng.central.access import accounts

    settings, database = open_store(config)
    with database.writing() as connection:
        accounts.enable(connection, name)
        _note(connection, "account_enabled", name)
        code = accounts.give_code(connection, name, utc_now())
    Terminal().print(say("first sign-in, within 24 hours: {0}", first_address(_base(settings), code)))


@app.command("list")
def list_accounts(config: Config = CONFIG) -> None:
    """List the accounts with their roles and institutions."""
    from renzheng.central.access import accounts

    _, database = open_store(config)
    with database.reading() as connection:
        found = accounts.listed(connection)
    shown = table("account", "kind", "roles", "institutions", "ties", "state")
    for one in found:
        state = (
            "disabled" if one.disabled else "active" if one.has_password or one.kind == "program" else "new"
        )
        cells = (
            one.account_id,
            one.kind,
            *(" ".join(sorted(named)) for named in (one.roles, one.institutions, one.ties)),
            state,
        )
        shown.add_row(*cells)
    Terminal().print(shown)


@app.command("sign-out")
def sign_out_account(name: Name, config: Config = CONFIG) -> None:
    """End every session of an account."""
    from renzheng.central.access import accounts

    _, database = open_store(config)
    with database.writing() as connection:
        ended = accounts.sign_out(connection, name, utc_now())
        _note(connection, "account_signed_out", name)
    Terminal().print(say("{0} sessions of {1} ended", ended, name))


@app.command("code")
def give_code(name: Name, config: Config = CONFIG) -> None:
    """Print a new one-time sign-in address for somebody who has lost the password; the old password stays."""
    from renzheng.central.access import accounts

    settings, database = open_store(config)
    with database.writing() as connection:
        code = accounts.give_code(connection, name, utc_now())
        _note(connection, "account_code_given", name)
    Terminal().print(say("first sign-in, within 24 hours: {0}", first_address(_base(settings), code)))


@app.command("token")
def give_token(
    name: Name,
    config: Config = CONFIG,
    days: Days = 365,
    scope: Annotated[
        list[Permission] | None,
        typer.Option(help="The token is for this permission only; may be given again."),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="End the account's other tokens.")] = False,
) -> None:
    """Print a new bearer token of an account; it is shown once."""
    from renzheng.central.access import accounts

    _, database = open_store(config)
    with database.writing() as connection:
        if revoke:
            accounts.revoke_tokens(connection, name, utc_now())
        shown = accounts.give_token(connection, name, utc_now(), days=days, scopes=scope)
        _note(connection, "account_token_given", name)
    Terminal().print(say("token {0}", shown))


@app.command("factors")
def show_factors(
    name: Name,
    config: Config = CONFIG,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take them away, from somebody who has lost them; ends sessions.")
    ] = False,
) -> None:
    """Say which second factors an account has, or take them away."""
    from renzheng.central.access import accounts, factors

    _, database = open_store(config)
    with database.writing() as connection:
        accounts.must_read(connection, name)
        held = factors.of_account(connection, name)
        if remove:
            factors.remove_all(connection, name)
            accounts.sign_out(connection, name, utc_now())
            _note(connection, "account_factors_removed", name)
    Terminal().print(
        say(
            "codes of an app: {0}, passkeys: {1}, recovery codes: {2}",
            int(held.codes),
            held.passkeys,
            held.recovery,
        )
    )
    if remove:
        Terminal().print(say("they are taken away"))
