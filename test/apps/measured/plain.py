from . import values


def app(environ, start_response):
    body = values.count(environ["PATH_INFO"], environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
