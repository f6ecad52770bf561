import asyncio
import hashlib
from typing import Annotated

from litestar import Litestar, Request, get, post, put
from litestar.datastructures import UploadFile
from litestar.enums import MediaType, RequestEncodingType
from litestar.logging import LoggingConfig
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.params import Body
from litestar.response import ServerSentEvent, Stream

import gate


@get("/", media_type=MediaType.TEXT)
async def index(request: Request) -> str:
    return "%s %s\n" % (request.method, request.base_url.netloc)


@post("/hash", media_type=MediaType.TEXT)
async def hash_file(data: Annotated[dict, Body(media_type=RequestEncodingType.MULTI_PART)]) -> str:
    file: UploadFile = data["file"]
    digest, length = hashlib.sha256(), 0
    while True:
        chunk = await file.read(1 << 16)
        if not chunk:
            return "%d %s" % (length, digest.hexdigest())
        digest.update(chunk)
        length += len(chunk)


@get("/stream")
async def stream() -> Stream:
    async def parts():
        yield "one\n"
        await asyncio.to_thread(gate.wait, "stream")
        yield "two\n"

    return Stream(parts(), media_type=MediaType.TEXT)


@get("/visits", media_type=MediaType.TEXT)
async def visits(request: Request) -> str:
    request.session["visits"] = n = request.session.get("visits", 0) + 1
    return str(n)


@get("/error")
async def error() -> None:
    raise RuntimeError("an error on purpose")


@get("/events")
async def events() -> ServerSentEvent:
    async def parts():
        for n in range(3):
            yield {"data": "event %d" % n, "id": str(n)}

    return ServerSentEvent(parts())


@put("/items/{number:int}")
async def item(number: int, data: dict, q: str = "") -> dict:
    return {"number": number, "item": data, "q": q}


app = Litestar(
    [index, hash_file, stream, visits, error, events, item],
    middleware=[ServerSideSessionConfig().middleware],
    request_max_body_size=None,
    logging_config=LoggingConfig(log_exceptions="always"),
)
