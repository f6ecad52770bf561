"""python-socketio: sessions that live in the memory of one worker."""

import os

import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def connect(sid, environ):
    await server.save_session(sid, {"said": 0})


@server.event
async def say(sid, text):
    async with server.session(sid) as session:
        session["said"] += 1
        return "%s %d" % (text, session["said"])


@server.event
async def pid(sid):
    return os.getpid()
