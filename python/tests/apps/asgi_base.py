"""What the apps of ASGI here have in common: a path names a function of its module."""


async def start(send, status=200, headers=(), **more):
    await send(dict(more, type="http.response.start", status=status, headers=headers))


async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def left(receive):
    """Waits until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def hello(scope, receive, send):
    await start(send, headers=[(b"a", b"b")])
    await body(send, b"hello")


async def lifespan(scope, receive, send):
    await receive()
    scope["state"]["shared"] = [1]
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("shutdown", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


def serving(*functions):
    """Returns an app of these functions, and of hello for the path /."""
    paths = {"/" + function.__name__: function for function in functions}
    paths["/"] = hello

    async def app(scope, receive, send):
        function = lifespan if scope["type"] == "lifespan" else paths[scope["path"]]
        await function(scope, receive, send)

    return app
