"""The part of an ASGI app that starts and ends with its worker."""


async def follow(receive, send):
    """Answers what the server says until it shuts down."""
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return
