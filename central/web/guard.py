"""Each route names the permission it needs; one that names none keeps the service from starting.

The guard runs before every route; what was read of persons is in the access log before anything is shown.
"""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, HTTPException, Request
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount, Route

from renzheng.central.access.access_log import Access
from renzheng.central.access.errors import UndeclaredRouteError
from renzheng.central.access.roles import TERMS, Permission, Terms
from renzheng.central.access.visitors import Visitor
from renzheng.central.store import viewer
from renzheng.central.store.viewer import Viewer, look_as
from renzheng.central.texts import LANGUAGES

MARK = "permission"
OPEN = "open"
READING = ("GET", "HEAD")
MOST_CHARACTERS = 500
_F = TypeVar("_F", bound=Callable[..., Any])


def needs(permission: Permission) -> Callable[[_F], _F]:
    """Declare the permission that a route needs; below the route's own decorator."""

    def mark(endpoint: _F) -> _F:
        setattr(endpoint, MARK, permission)
        return endpoint

    return mark


def open_to_all(endpoint: _F) -> _F:
    """Declare that a route answers everybody."""
    setattr(endpoint, MARK, OPEN)
    return endpoint


@dataclass(frozen=True, slots=True)
class Use:
    """A permission while it is used.

    Args:
        visitor: by whom.
        permission: which; None on a route that is open to all.
        viewer: what has been read by it so far.
    """

    visitor: Visitor
    permission: Permission | None
    viewer: Viewer

    @property
    def terms(self) -> Terms:
        """On which terms."""
        return TERMS[self.permission] if self.permission else Terms()

    def access(
        self, request: Request, outcome: str | None = None, *, of: AbstractSet[str] | None = None
    ) -> Access | None:
        """Return what is to be written down of it, of all who were read or of some; None where nothing is."""
        query = f"?{request.url.query}" if request.url.query else ""
        told = self.access_to(request.method, f"{request.url.path}{query}", address_of(request), outcome)
        return told if told is None or of is None else replace(told, persons=frozenset(of))

    def access_to(self, method: str, path: str, address: str, outcome: str | None = None) -> Access | None:
        """Return what is to be written down of a call of an address (see `access`)."""
        reads = method in READING
        of_persons = self.terms.persons or bool(self.viewer.persons)
        if self.permission is None or (reads and not of_persons and outcome is None):
            return None
        return Access(
            account_id=self.visitor.account_id,
            roles=self.visitor.roles,
            address=address,
            act=self.permission.value,
            what=f"{method} {path} {self.viewer.remark}".strip()[:MOST_CHARACTERS],
            purpose=self.terms.purpose,
            outcome=outcome or ("shown" if reads else "changed"),
            persons=frozenset(self.viewer.persons),
        )


def address_of(request: Request) -> str:
    """Return from where a request comes."""
    return request.client.host if request.client else "-"


async def guard(request: Request) -> None:
    """Let a request through to its route if its visitor may; a dependency of every route.

    Raises:
        HTTPException: 403 when they may not, or 303 to where a page asks for a password, code or passkey
            again, or for a second factor to be set up.
    """
    permission = getattr(request.scope.get("endpoint"), MARK, None)
    visitor = visitor_of(request)
    if permission == OPEN:
        return
    if permission is None or visitor is None:
        raise HTTPException(403, "This address is not open.")
    whole = Permission.IDENTITIES in visitor.permissions
    masks = None if whole else request.app.state.masks
    use = Use(visitor, permission, Viewer(visitor.institutions, masks=masks))
    request.state.use = use
    if visitor.lacks_factor and permission not in visitor.permissions:
        if request.url.path.startswith("/api/") or request.method not in READING:
            raise HTTPException(403, "Set up a second factor at /access/factors first.")
        raise HTTPException(303, headers={"Location": "/access/factors"})
    if permission not in visitor.permissions:
        raise HTTPException(403, "Your roles do not allow this.")
    if use.terms.step_up and not visitor.confirmed:
        wanted = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        if request.method not in READING:  # a form says to which page it goes back
            wanted = request.query_params.get("back", "")[:MOST_CHARACTERS]
        if request.url.path.startswith("/api/") or not wanted:
            raise HTTPException(403, "Confirm at /confirm first that it is you.")
        raise HTTPException(303, headers={"Location": detour("/confirm", wanted, request)})
    look_as(use.viewer)


def detour(page: str, wanted: str, request: Request) -> str:
    """Return the address of a page that stands before the one that is wanted, in the language asked for."""
    asked = request.query_params.get("lang")
    return f"{page}?next={quote(wanted)}" + (f"&lang={asked}" if asked in LANGUAGES else "")


def may_unmask(request: Request) -> bool:
    """Return whether the visitor sees numbers masked and may have one whole."""
    visitor = visitor_of(request)
    return viewer.masks() is not None and visitor is not None and Permission.UNMASK in visitor.permissions


def note_whole_numbers(request: Request) -> None:
    """Write down that a file holds numbers whole which this visitor sees masked elsewhere."""
    use: Use = request.state.use
    if use.viewer.masks is not None:
        use.viewer.remark = "(whole numbers)"


def visitor_of(request: Request) -> Visitor | None:
    """Return who asks; None on a page that is open to all."""
    found: Visitor | None = getattr(request.state, "visitor", None)
    return found


def check_routes(app: FastAPI, is_open: Callable[[str], bool]) -> None:
    """Check that every route of an application names its permission.

    Args:
        app: the application.
        is_open: whether an address answers whoever is not known.

    Raises:
        UndeclaredRouteError: one does not, or is open to all at an address that is not.
    """
    for path, route in _flat(app.routes, ""):
        if isinstance(route, Mount) and is_open(f"{path}/"):
            continue
        if type(route) is Route and path == app.openapi_url:
            continue  # for whoever is let in at all
        mark = getattr(route.endpoint, MARK, None) if isinstance(route, APIRoute) else None
        if mark is None or (mark == OPEN and not is_open(path)):
            raise UndeclaredRouteError(
                f"The route {path} does not name the permission that it needs.",
                why="Anybody who is signed in could call it.",
                do="Declare it with @needs(Permission...) below the route's decorator.",
            )


def _flat(routes: Iterable[BaseRoute], prefix: str) -> Iterable[tuple[str, BaseRoute]]:
    """Walk routes, those of included routers too, each with its whole path."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _flat(inner.routes, prefix + route.include_context.prefix)  # type: ignore[attr-defined]
        else:
            yield prefix + getattr(route, "path", "?"), route
