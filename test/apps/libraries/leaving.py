"""What becomes of work whose client leaves: a transaction, a background task, a stream
of events. Sentry watches."""

import asyncio

import sentry_sdk
from fastapi import BackgroundTasks, Depends, FastAPI
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sse_starlette.sse import EventSourceResponse

events = []
log = []


class Transport(sentry_sdk.transport.Transport):
    def capture_envelope(self, envelope):
        event = envelope.get_event()
        if event and event.get("exception"):
            events.append(event["exception"]["values"][-1]["type"])


sentry_sdk.init(dsn="http://key@localhost/1", transport=Transport)
inner = FastAPI()


def transaction():
    log.append("begin")
    try:
        yield "db"
    except BaseException as e:
        log.append("rolled back: %s" % type(e).__name__)
        raise
    else:
        log.append("committed")


@inner.post("/order")
async def order(tasks: BackgroundTasks, db=Depends(transaction)):
    tasks.add_task(log.append, "mail sent")
    await asyncio.sleep(1)
    log.append("ordered")
    return {"ordered": True}


@inner.post("/order-in-a-thread")
def order_in_a_thread(tasks: BackgroundTasks, db=Depends(transaction)):
    import time

    tasks.add_task(log.append, "mail sent")
    time.sleep(1)
    log.append("ordered")
    return {"ordered": True}


@inner.get("/events")
async def stream(count: int = 3):
    async def numbers():
        try:
            for n in range(count):
                yield {"id": str(n), "data": "event %d" % n}
                await asyncio.sleep(0.05)
        finally:
            log.append("the stream ended")

    return EventSourceResponse(numbers())


@inner.get("/error")
async def error():
    raise KeyError("on purpose")


@inner.get("/log")
async def tell():
    return log


@inner.get("/clear")
async def clear():
    log.clear()


@inner.get("/sentry")
async def sentry():
    return events


app = SentryAsgiMiddleware(inner)
