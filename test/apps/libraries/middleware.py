"""All middleware that comes with Starlette, and brotli-asgi, around files, streams and
background work."""

import contextlib
import os

from brotli_asgi import BrotliMiddleware
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, requires
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

done = []


class Reading(BaseHTTPMiddleware):
    """Reads what the app answers, as middleware does that logs or caches."""

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        body = b"".join([part async for part in response.body_iterator])
        return Response(
            body,
            response.status_code,
            dict(response.headers, **{"x-read": str(len(body))}),
            background=response.background,
        )


class Tagging(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        body = await request.body()
        response = await call_next(request)
        response.headers["x-got"] = str(len(body))
        return response


class Plain:
    """Looks at each message, as middleware of pure ASGI does."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def see(message):
            assert message["type"] in ("http.response.start", "http.response.body"), message["type"]
            await send(message)

        await self.app(scope, receive, see if scope["type"] == "http" else send)


class Names(AuthenticationBackend):
    async def authenticate(self, conn):
        name = conn.headers.get("x-user")
        if name:
            return AuthCredentials(["authenticated"]), SimpleUser(name)


async def text(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return PlainTextResponse("text %d " % request.session["visits"] * 200)


@requires("authenticated")
async def secret(request):
    return PlainTextResponse(request.user.display_name)


async def stream(request):
    async def parts():
        for n in range(5):
            yield b"part %d\n" % n * 100

    return StreamingResponse(parts(), media_type="text/plain")


def file(request):
    return FileResponse(__file__)


async def posted(request):
    return JSONResponse({"size": len(await request.body())})


async def background(request):
    return PlainTextResponse("accepted", 202, background=BackgroundTask(done.append, request.query_params["name"]))


async def error(request):
    raise RuntimeError("an error on purpose")


def routes():
    return [
        Route("/text", text),
        Route("/secret", secret),
        Route("/stream", stream),
        Route("/file", file),
        Route("/posted", posted, methods=["POST"]),
        Route("/background", background),
        Route("/error", error),
        Route("/done", lambda request: JSONResponse(done)),
        Mount("/static", StaticFiles(directory=os.path.dirname(__file__))),
    ]


def within(*middleware):
    return Starlette(routes=routes(), middleware=[Middleware(SessionMiddleware, secret_key="x"), *middleware])


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"shared": 1}


app = Starlette(
    lifespan=lifespan,
    routes=[
        Mount(
            "/cors",
            within(
                Middleware(CORSMiddleware, allow_origins=["http://a.example"], allow_credentials=True),
                Middleware(AuthenticationMiddleware, backend=Names()),
            ),
        ),
        Mount(
            "/gzip",
            within(Middleware(GZipMiddleware, minimum_size=100), Middleware(AuthenticationMiddleware, backend=Names())),
        ),
        Mount(
            "/brotli",
            within(
                Middleware(BrotliMiddleware, minimum_size=100), Middleware(AuthenticationMiddleware, backend=Names())
            ),
        ),
        Mount("/read", within(Middleware(Reading), Middleware(AuthenticationMiddleware, backend=Names()))),
        Mount(
            "/tag",
            within(Middleware(Tagging), Middleware(Tagging), Middleware(AuthenticationMiddleware, backend=Names())),
        ),
        Mount("/plain", within(Middleware(Plain), Middleware(AuthenticationMiddleware, backend=Names()))),
        Mount(
            "/hosts",
            within(
                Middleware(TrustedHostMiddleware, allowed_hosts=["good.example"]),
                Middleware(AuthenticationMiddleware, backend=Names()),
            ),
        ),
        Mount(
            "/https", within(Middleware(HTTPSRedirectMiddleware), Middleware(AuthenticationMiddleware, backend=Names()))
        ),
    ],
)
