"""Speaks with sockets:app by way of the package websockets. Each check that fails is
an exception."""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

URL = sys.argv[1]
TEXT = "the same again \u20ac " * 5000


async def echo():
    async with connect(URL + "/echo", subprotocols=["one", "two"], max_size=None) as ws:
        assert ws.subprotocol == "two"
        assert next(str(e) for e in ws.protocol.extensions).startswith("PerMessageDeflate("), ws.protocol.extensions
        for message in ("", "hello", TEXT, b"", b"\xff\x00" * 100000, bytes(1 << 20)):
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(iter(["in ", "many ", "frames \u20ac"]))
        assert await ws.recv() == "in many frames \u20ac"
        await (await ws.ping("are you there"))
        assert ws.latency > 0
        await ws.close(4321, "bye")
    assert (ws.close_code, ws.close_reason) == (4321, "bye")


async def windows():
    """The server keeps to the window that the client has room for: otherwise zlib
    cannot decompress what it sends."""
    noise = bytes(hash((i, 7)) & 0xFF for i in range(20000))
    for bits in range(9, 16):
        factory = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
        async with connect(URL + "/echo", compression=None, extensions=[factory]) as ws:
            assert ws.protocol.extensions, bits
            for message in (TEXT, noise + noise, TEXT):
                await ws.send(message)
                assert await ws.recv() == message
    async with connect(URL + "/echo", compression=None) as ws:
        assert not ws.protocol.extensions
        await ws.send(TEXT)
        assert await ws.recv() == TEXT


async def closes():
    for code in (1000, 1001, 1008, 1011, 3000, 4999):
        async with connect(URL + "/close?code=%d&reason=r%d" % (code, code)) as ws:
            try:
                await ws.recv()
                raise AssertionError("no end")
            except ConnectionClosed as e:
                assert (e.rcvd.code, e.rcvd.reason) == (code, "r%d" % code), e


async def refusals():
    for path, status in (("/reject", 403), ("/deny", 401), ("/before?raise=1", 500)):
        try:
            await connect(URL + path)
            raise AssertionError("accepted")
        except InvalidStatus as e:
            assert e.response.status_code == status, e
            if status == 401:
                assert e.response.body == b"not you" and e.response.headers["X-Why"] == "no"


async def crowd():
    async def one(i):
        async with connect(URL + "/echo") as ws:
            for n in range(20):
                message = "%d %d " % (i, n) * 50
                await ws.send(message)
                assert await ws.recv() == message

    await asyncio.gather(*(one(i) for i in range(50)))


async def main():
    for check in (echo, windows, closes, refusals, crowd):
        await asyncio.wait_for(check(), 60)
        print(check.__name__, "ok")


asyncio.run(main())
