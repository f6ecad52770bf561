"""What the hooks pre_request and post_request see of a request and a response."""


class Request:
    def __init__(self, environ):
        self.method = environ["REQUEST_METHOD"]
        self.uri = environ["RAW_URI"]
        self.path = self.uri.partition("?")[0].partition("#")[0]
        self.query = environ["QUERY_STRING"]
        self.scheme = environ["wsgi.url_scheme"]
        self.version = tuple(int(n) for n in environ["SERVER_PROTOCOL"][5:].split("."))
        self.remote_addr = environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")
        self.peer_addr = self.remote_addr
        self.body = environ["wsgi.input"]
        self.headers = []
        for key, value in environ.items():
            if key.startswith("HTTP_"):
                self.headers.append((key[5:].replace("_", "-"), value))
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                self.headers.append((key.replace("_", "-"), value))
        self._first = list(self.headers)

    def apply(self, environ):
        """Carries over what a hook did to the headers."""
        if self.headers == self._first:
            return
        for name, _ in self._first:
            environ.pop(_key(name), None)
        merged = {}
        for name, value in self.headers:
            merged.setdefault(_key(name), []).append(value)
        for key, values in merged.items():
            environ[key] = ",".join(values)


def _key(name):
    name = name.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name


class Response:
    def __init__(self, exchange, failed):
        self.status = exchange.status
        self.headers = exchange.headers or []
        if failed and not exchange.started:
            self.status, self.headers = "500 Internal Server Error", []
        self.sent = exchange.sent
        self.headers_sent = exchange.started
        code = (self.status or "").partition(" ")[0]
        self.status_code = int(code) if code.isdigit() else None
        self.response_length = None
        for name, value in self.headers:
            if name.lower() == "content-length" and value.isdigit():
                self.response_length = int(value)
