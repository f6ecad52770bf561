import asyncio
import contextlib
import os
import time

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


@contextlib.asynccontextmanager
async def lifespan(app):
    # Once in each worker: the place for connections to databases.
    yield {"started": time.time()}


app = FastAPI(title="FastAPI on Indrik", lifespan=lifespan)


class Order(BaseModel):
    item: str
    count: int = 1


@app.get("/")
async def index(request: Request):
    return {"hello": "world", "pid": os.getpid(), "up": round(time.time() - request.state.started, 1)}


@app.post("/orders", status_code=201)
async def order(order: Order):
    return {"ordered": order.item, "count": order.count}


@app.get("/clock")
async def clock(ticks: int = 10):
    async def events():
        for n in range(ticks):
            yield "data: tick %d\n\n" % n
            await asyncio.sleep(1)

    return StreamingResponse(events(), media_type="text/event-stream")
