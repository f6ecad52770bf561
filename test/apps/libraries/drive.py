"""Talks with an app of this directory, and prints what it answers, but for what differs
from run to run: `drive.py NAME URL`. What two servers make of an app can be compared."""

import asyncio
import hashlib
import json
import os
import re
import socket
import sys
import time
from urllib.parse import urlsplit

import httpx

# How long anything may take, in seconds: the machine may be busy with other tests.
PATIENCE = 60.0

# What is the server's own, or the clock's.
OWN = {"date", "server", "connection", "keep-alive", "transfer-encoding", "last-modified", "etag"}


def client(url, **more):
    return httpx.Client(base_url=url, timeout=PATIENCE, **more)


def get(url, **more):
    return httpx.get(url, timeout=PATIENCE, **more)


def until(holds):
    """Waits until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


def show(name, response, body=True):
    headers = sorted((k, v) for k, v in response.headers.multi_items() if k not in OWN)
    headers = [(k, re.sub(r"(session=)[^;]*", r"\1…", v)) for k, v in headers]
    text = response.content.replace(urlsplit(sys.argv[2]).netloc.encode(), b"server")
    print(
        name,
        response.status_code,
        headers,
        "%d %s" % (len(text), hashlib.sha256(text).hexdigest()[:12]) if body else "",
    )


def middleware(url):
    with client(url, follow_redirects=False) as c:
        for mount in "cors", "gzip", "brotli", "read", "tag", "plain", "hosts", "https":
            for encoding in "identity", "gzip", "br":
                for path in "text", "stream", "file", "static/middleware.py", "missing":
                    r = c.get(
                        "/%s/%s" % (mount, path), headers={"accept-encoding": encoding, "origin": "http://a.example"}
                    )
                    # Compressors may cut a stream otherwise, so not how it was compressed.
                    r.headers.pop("content-length", None)
                    show("%s %s %s" % (mount, encoding, path), r)
            show(
                mount + " range",
                c.get("/%s/file" % mount, headers={"range": "bytes=7-19", "accept-encoding": "identity"}),
            )
            show(mount + " head", c.head("/%s/file" % mount, headers={"accept-encoding": "identity"}))
            show(mount + " secret", c.get("/%s/secret" % mount))
            show(mount + " secret", c.get("/%s/secret" % mount, headers={"x-user": "ada"}))
            show(mount + " posted", c.post("/%s/posted" % mount, content=b"x" * 100000))
            show(mount + " posted", c.post("/%s/posted" % mount, content=(b"x" * 1000 for _ in range(5))))
            show(mount + " background", c.get("/%s/background?name=%s" % (mount, mount)))
            show(mount + " error", get("%s/%s/error" % (url, mount)), body=False)
        show("host", c.get("/hosts/text", headers={"host": "good.example", "accept-encoding": "identity"}))
        show(
            "preflight",
            c.options("/cors/text", headers={"origin": "http://a.example", "access-control-request-method": "PUT"}),
        )
        show("https", c.get("/https/text", headers={"x-forwarded-proto": "https", "accept-encoding": "identity"}))
        print(c.get("/plain/done").json())


def leaves(url, method, path, begun):
    """Sends a request, and leaves once it has begun, as a function of the connection waits for."""
    to = urlsplit(url)
    with socket.create_connection((to.hostname, to.port), PATIENCE) as s:
        s.sendall(("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % (method, path)).encode())
        begun(s)


def leaving(url):
    with client(url) as c:

        def log():
            return c.get("/log").json()

        for path in "/order", "/order-in-a-thread":
            c.get("/clear")
            leaves(url, "POST", path, lambda s: until(log))
            until(lambda: {"mail sent", "committed"} <= set(log()))
            print(path, sorted(log()))
        print(c.get("/events").text)
        c.get("/clear")
        leaves(url, "GET", "/events?count=100000", lambda s: s.recv(1))
        until(log)
        print(log())
    # With uvicorn the connection is over then.
    print(get(url + "/error").status_code, get(url + "/sentry").json())


def proxied(url):
    with client(url) as c:
        for path in (
            "/app",
            "/subapi/sub",
            "/static/proxied.py",
            "/openapi.json",
            "/docs",
            "/subapi/openapi.json",
            "/missing",
        ):
            show(
                path,
                c.get(
                    path,
                    headers={"host": "example.com", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7"},
                ),
            )
        for fields in (
            {},
            {"x-forwarded-for": "203.0.113.7"},
            {"x-forwarded-for": "198.51.100.1, 203.0.113.7"},
            {"x-forwarded-for": "203.0.113.7, 127.0.0.1"},
            {"x-forwarded-for": "203.0.113.7:1234"},
            {"x-forwarded-for": "[2001:db8::1]:1234"},
            {"x-forwarded-proto": "https"},
            {"x-forwarded-proto": "http"},
        ):
            print(fields, c.get("/who", headers=fields).text)


def admin(url):
    with client(url, follow_redirects=True) as c:
        show("admin", c.get("/admin/"))
        show("create", c.post("/admin/user/create", data={"name": "Ada", "save": "Save"}), body=False)
        r = c.get("/admin/user/list")
        print("list", r.status_code, "Ada" in r.text)
        for asset in sorted(set(re.findall(r'(?:href|src)="[^"]*(/admin/statics/[^"]+)"', r.text)))[:6]:
            show(asset, c.get(asset, headers={"accept-encoding": "identity"}))


def talking(url):
    import socketio

    url = url.replace("127.0.0.1", "localhost")  # aiohttp keeps no cookies of addresses

    async def talk(transports):
        talker = socketio.AsyncClient(reconnection=False, request_timeout=PATIENCE)
        await talker.connect(url, transports=transports, wait_timeout=PATIENCE)
        said = [await talker.call("say", "hello %d" % n, timeout=PATIENCE) for n in range(5)]
        pids = {await talker.call("pid", timeout=PATIENCE) for _ in range(5)}
        print(transports, said, len(pids), talker.transport())

    async def all_of_them():
        for _ in range(4):
            await talk(["polling"])
        await talk(["websocket"])
        await talk(["polling", "websocket"])
        # The clients have no quick way to end: they wait for the poll that is open.
        sys.stdout.flush()
        os._exit(0)

    asyncio.run(all_of_them())


def subscribing(url):
    import websockets.sync.client

    with client(url) as c:
        r = c.post("/graphql", json={"query": '{ hello(name: "Ada") }'})
        print(r.status_code, r.json())
    ws = websockets.sync.client.connect(
        url.replace("http", "ws") + "/graphql", subprotocols=["graphql-transport-ws"], open_timeout=PATIENCE
    )
    print(ws.subprotocol)
    ws.send(json.dumps({"type": "connection_init"}))
    print(ws.recv())
    ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": "subscription { count(target: 4) }"}}))
    for _ in range(5):
        print(ws.recv())
    ws.close(4000, "enough")
    print(ws.close_code, ws.close_reason)


def channelling(url):
    from websockets.exceptions import ConnectionClosed, InvalidStatus
    from websockets.sync.client import connect

    r = get(url, headers={"host": "example.com"})
    print(r.status_code, r.text)
    base = url.replace("http", "ws")
    ada, bob = (connect(base + "/room/", open_timeout=PATIENCE) for _ in range(2))
    ada.send(json.dumps({"n": 1}))
    print(ada.recv(), bob.recv())
    ada.close(3001, "bye")
    print(ada.close_code, ada.close_reason)
    bob.close()
    with connect(base + "/sync/", subprotocols=["chat"], open_timeout=PATIENCE) as ws:
        ws.send("text " * 1000)
        print(ws.subprotocol, len(ws.recv()))
        ws.send("close")
        try:
            ws.recv()
        except ConnectionClosed as e:
            print(e.rcvd.code, e.rcvd.reason)
    try:
        connect(base + "/nowhere/", open_timeout=PATIENCE)
    except InvalidStatus as e:
        print(e.response.status_code)
    except Exception as e:
        print(type(e).__name__)


def toolbox(url):
    from libraries.toolboxes import use

    asyncio.run(use(url))


def page(url, wanted):
    with client(url, follow_redirects=True) as c:
        r = c.get("/")
        print(r.status_code, r.headers["content-type"], wanted in r.text)
        for asset in sorted(set(re.findall(r'(?:href|src)="(\.?/[^"]+\.(?:js|css))"', r.text)))[:5]:
            print(re.sub(r"[0-9.]+|[A-Za-z0-9_-]{8}\.", "…", asset), c.get(asset.lstrip(".")).status_code)


def gradio(url):
    page(url, "gradio")
    from gradio_client import Client

    app = Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE})
    print([app.predict(name, api_name="/greet") for name in ("Ada", "Bob")])


def nicegui(url):
    page(url, "said by NiceGUI")


def marimo(url):
    page(url, "marimo")


globals()[sys.argv[1]](sys.argv[2].rstrip("/"))
