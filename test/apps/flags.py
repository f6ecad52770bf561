"""Answers with the flags of PEP 3333 that say how the app is run."""


def app(environ, start_response):
    flags = ["%s=%s" % (name, str(environ["wsgi." + name]).lower()) for name in ("multithread", "multiprocess")]
    body = (" ".join(flags) + "\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
