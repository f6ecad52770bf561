"""What apps under gevent do, by the path; others are answered with the body that was sent."""

import subprocess
import threading
import time

import gevent
from gevent.event import Event

go = Event()
at_import = time.sleep.__module__


def app(environ, start):
    path, say = environ["PATH_INFO"], environ["wsgi.errors"].write
    if path == "/wait":
        say("waits\n")
        try:
            go.wait()
        finally:
            say("waited\n")
    if path == "/go":
        go.set()
    if path == "/patched":
        start("200 OK", [])
        return [repr((at_import, threading.Lock.__module__, environ["wsgi.multithread"])).encode()]
    if path == "/large":
        write = start("200 OK", [])
        for _ in range(20):
            write(bytes(50000))
        return []
    if path == "/bounded":
        write = start("200 OK", [])
        try:
            with gevent.Timeout(0.05):
                write(bytes(1000000))
        except gevent.Timeout:
            say("given up\n")
        write(b"more")
        return []
    if path == "/gone":
        say("begun\n")
        while not environ["indrik.disconnected"]():
            time.sleep(0.001)
        say("seen\n")
    if path == "/stubborn":
        say("waits\n")
        while True:
            try:
                go.wait()
                break
            except BaseException:
                say("swallowed\n")
    if path == "/spin":
        say("spins\n")
        while True:
            pass
    if path == "/deadline":
        start("200 OK", [])
        now = time.monotonic()
        values = environ["indrik.deadline"](), environ["indrik.extend_deadline"](100), environ["indrik.deadline"]()
        return [repr([v and v - now for v in values]).encode()]
    if path == "/sub":
        start("200 OK", [])
        return [subprocess.check_output(["echo", "child"])]
    if path == "/file":
        start("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    body = environ["wsgi.input"].read()
    say("read\n")
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
