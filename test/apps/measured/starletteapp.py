from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from . import values


async def serve(request):
    return PlainTextResponse(values.count(request.url.path, await request.body()))


app = Starlette(routes=[Route("/{path:path}", serve, methods=["GET", "POST"])])
