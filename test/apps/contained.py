"""An app that says what it may do where it runs."""

import os
import sys
import time


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def orphan():
    "Returns the pid of a process that has lost its parent and ends after a moment."
    r, w = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            time.sleep(0.1)
        else:
            os.write(w, b"%d" % grandchild)
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(r, 20).decode()


def write(path):
    try:
        open(path, "w").close()
        return "written"
    except OSError as e:
        return e.strerror


def answer(path, query):
    if path == "/rights":
        return "\n".join(
            " ".join(
                [
                    name,
                    s["Uid"].split("\t")[0],
                    s["Gid"].split("\t")[0],
                    s["CapPrm"],
                    s["CapEff"],
                    s["CapBnd"],
                    s["NoNewPrivs"],
                ]
            )
            for name, s in [("worker", status(os.getpid())), ("first", status(1))]
        )
    if path == "/orphan":
        return orphan()
    if path == "/state":
        return status(int(query))["State"] if os.path.exists("/proc/" + query) else "gone"
    if path == "/write":
        return write(query)
    if path == "/wait":
        print("waiting for go", flush=True)
    while path == "/wait" and not os.path.exists("go"):
        time.sleep(0.05)
    return "hello " + sys.prefix


def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body or answer(environ["PATH_INFO"], environ["QUERY_STRING"]).encode()]
