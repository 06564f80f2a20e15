"""The one address that a device may call before it has joined: ``POST /join`` with a sealed request."""

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from renzheng.central.errors import RegistrationError, SiteError
from renzheng.central.site.joining import Joining
from renzheng.contracts.provisioning import JOIN_PATH, ProvisioningError

MOST_BYTES = 32_000
JOSE = "application/jose"


def build_door(joining: Joining) -> FastAPI:
    """Build the application that devices join by; it has no other route and no documentation pages."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.post(JOIN_PATH)
    async def join(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return Response("That is larger than any request to join.", status_code=413)
        try:
            answer = await run_in_threadpool(joining.answer, body)
        except (ProvisioningError, SiteError, RegistrationError) as error:
            return Response(f"{error.what} {error.do}", status_code=403, media_type="text/plain")
        return Response(answer, media_type=JOSE)

    return app
