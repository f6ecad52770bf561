"""Answers with the path and the body of the request: what the load clients check."""


def app(environ, start_response):
    body = environ["PATH_INFO"].encode("latin-1") + b"\n" + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
