"""Runs the query's expressions, which semicolons part, with the functions of the environ, and
says what each gives. One that begins with "until:" is tried until it is true."""

import time


def app(environ, start):
    names = {name: environ["indrik." + name] for name in ("deadline", "extend_deadline", "disconnected")}
    names["now"] = time.monotonic
    say = start("200 OK", [])
    for line in environ["QUERY_STRING"].split(";"):
        while line.startswith("until:") and not eval(line[6:], names):
            time.sleep(0.001)
        if not line.startswith("until:"):
            say(repr(eval(line, names)).encode())
    return []
