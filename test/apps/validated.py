"""The echo app between the checks of wsgiref.validate, which raise on any breach of PEP 3333."""

from wsgiref.validate import validator


def plain(environ, start_response):
    body = environ["PATH_INFO"].encode("latin-1") + b"\n"
    if environ["REQUEST_METHOD"] == "POST":
        left = int(environ["CONTENT_LENGTH"])
        body += environ["wsgi.input"].readline(10) + environ["wsgi.input"].read(left)
    environ["wsgi.errors"].write("seen %s\n" % environ["PATH_INFO"])
    environ["wsgi.errors"].flush()
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/write":
        write = start_response("200 OK", headers)
        write(b"written ")
        return [b"returned"]
    if environ["PATH_INFO"] == "/length":
        headers.append(("Content-Length", str(len(body))))
    start_response("200 OK", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return [body]


app = validator(plain)
