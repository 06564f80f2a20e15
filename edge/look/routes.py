"""The routes by which a page shows a look its frames and asks how it stands; the same for every agent."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI, Request

from renzheng.edge.look.looking import Looks
from renzheng.edge.look.showing import LookShown, look_shown


def add_look_routes(app: FastAPI, looks: Looks, must_be_signed_in: Callable[[Request], object]) -> None:
    """Add the routes of looks that have begun.

    Args:
        app: the agent's application.
        looks: its looks.
        must_be_signed_in: raises what the agent answers to those who are not.
    """

    async def frame(look_id: str, request: Request) -> LookShown:
        must_be_signed_in(request)
        body = await request.body()
        return look_shown(await asyncio.to_thread(looks.take, look_id, body))

    async def state(look_id: str, request: Request) -> LookShown:
        must_be_signed_in(request)
        return look_shown(await asyncio.to_thread(looks.state, look_id))

    app.get("/api/looks/{look_id}")(state)
    app.post("/api/looks/{look_id}/frames")(frame)
