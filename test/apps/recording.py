"""Writes the path of each request to the log, then does as gated does."""

import gated


def app(environ, start_response):
    environ["wsgi.errors"].write("ran %s\n" % environ["PATH_INFO"])
    return gated.app(environ, start_response)
