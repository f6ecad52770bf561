"""Answers with the status that the path names, and a body that some of them must not have."""


def app(environ, start_response):
    status = environ["PATH_INFO"].strip("/") or "200"
    start_response(status + " Some Reason", [("Content-Type", "text/plain"), ("X-Case", "as Given")])
    return [b"body"]
