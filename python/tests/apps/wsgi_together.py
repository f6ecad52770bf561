"""What requests that come in one message do; the path says it. Others are answered with their path."""

import time


class Closing(list):
    def __init__(self):
        list.__init__(self, [b"/close"])

    def close(self):
        time.sleep(0.01)


def app(environ, start):
    path = environ["PATH_INFO"]
    if path == "/error":
        raise ValueError("in the middle")
    say = start("200 OK", [])
    if path == "/write":
        say(b"a")
    if path == "/close":
        return Closing()
    while path == "/wait" and not environ["indrik.disconnected"]():
        time.sleep(0.001)
    if path == "/nap":
        time.sleep(0.01)
    return [bytes(int(path[5:])) if path.startswith("/big/") else path.encode()]
