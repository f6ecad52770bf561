"""Forks as the query says, and returns in both processes."""

import os

from forking import run


def app(environ, start_response):
    how = environ["QUERY_STRING"]
    said = run(how)
    if said is None:
        said = "the child's"
        if how == "write":
            start_response("200 OK", [])(b"the child's")
        if how == "generator":
            start_response("200 OK", [])
            return (part for part in [b"the", b"child's"])
        if how == "large":
            said *= 50000
        if how == "closing":
            start_response("200 OK", [])
            return Closing()
        if how == "asks":
            environ["indrik.disconnected"]()
            environ["indrik.extend_deadline"](5)
    start_response("200 OK", [])
    return [said.encode()]


class Closing(list):
    def close(self):
        print("closed in", os.getpid())
