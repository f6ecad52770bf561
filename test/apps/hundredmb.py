"""An app whose response of 100 MB says how far it is."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError
    if scope["path"] == "/":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    sent = 0
    part = bytes(50_000)
    for _ in range(2000):
        await send({"type": "http.response.body", "body": part, "more_body": True})
        sent += len(part)
        if sent % 1_000_000 == 0:
            print("sent %d" % sent, flush=True)
    await send({"type": "http.response.body", "body": b"end"})
