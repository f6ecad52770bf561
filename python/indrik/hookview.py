"""Requests and responses as the hooks pre_request and post_request see them."""

from __future__ import annotations

from . import stdlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, MutableMapping, Optional, Tuple, Union

    from .wsgiresponse import Environ, WSGIResponse


class Request:
    def __init__(self, environ: Environ) -> None:
        self.method: str = environ["REQUEST_METHOD"]
        self.uri: str = environ["RAW_URI"]
        self.path = self.uri.partition("?")[0].partition("#")[0]
        self.query: str = environ["QUERY_STRING"]
        self.scheme: str = environ["wsgi.url_scheme"]
        self.version = tuple(int(n) for n in environ["SERVER_PROTOCOL"][5:].split("."))
        self.remote_addr = environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")
        self.peer_addr = self.remote_addr
        self.body = environ["wsgi.input"]
        self.headers: List[Tuple[str, str]] = []
        for key, value in environ.items():
            if key.startswith("HTTP_"):
                self.headers.append((key[5:].replace("_", "-"), value))
            elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                self.headers.append((key.replace("_", "-"), value))
        self._first = list(self.headers)
        self._path = self.path

    def apply(self, environ: Environ) -> None:
        """Carries the changes of a hook over to the environ."""
        environ["REQUEST_METHOD"] = self.method
        environ["RAW_URI"] = self.uri
        environ["QUERY_STRING"] = self.query
        environ["wsgi.url_scheme"] = self.scheme
        if self.path != self._path:
            path, script = _unquote(self.path, "latin-1"), environ["SCRIPT_NAME"]
            environ["PATH_INFO"] = path[len(script) :] if path.startswith(script) else path
        if self.headers == self._first:
            return
        for name, _ in self._first:
            environ.pop(_key(name), None)
        merged: Dict[str, List[str]] = {}
        for name, value in self.headers:
            merged.setdefault(_key(name), []).append(value)
        for key, values in merged.items():
            environ[key] = ",".join(values)

    def apply_to(self, scope: MutableMapping[str, Any]) -> None:
        """Carries the changes of a hook over to a scope of ASGI."""
        scope["method"] = self.method
        scope["query_string"] = self.query.encode("latin-1")
        scope["scheme"] = self.scheme
        if self.path != self._path:
            scope["path"], scope["raw_path"] = _unquote(self.path, "utf-8"), self.path.encode("latin-1")
        if self.headers != self._first:
            scope["headers"] = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers
            ]


def _unquote(path: str, encoding: str) -> str:
    unquoted: str = stdlib.load("urllib.parse").unquote(path, encoding)
    return unquoted


def environ(scope: MutableMapping[str, Any]) -> Environ:
    """Returns the environ that hooks get for a request of ASGI."""
    path = scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    host, port = scope["client"] or ("", "")
    values: Environ = {
        "REQUEST_METHOD": scope["method"],
        "RAW_URI": path + "?" + query if query else path,
        "PATH_INFO": scope["path"],
        "SCRIPT_NAME": scope["root_path"],
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/" + (scope["http_version"] if "." in scope["http_version"] else "2.0"),
        "REMOTE_ADDR": host,
        "REMOTE_PORT": str(port),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": None,  # the app receives the body
    }
    for name, value in scope["headers"]:
        key, value = _key(name.decode("latin-1")), value.decode("latin-1")
        values[key] = values[key] + "," + value if key in values else value
    return values


class ASGIOutcome:
    """The response that an app of ASGI has sent, for Response."""

    def __init__(self, request: Any) -> None:
        self.started = request.sent is not None
        self.sent = request.sent or 0
        self.status = None if request.status is None else str(request.status)
        self.headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers or ()]


def _key(name: str) -> str:
    name = name.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name


class Response:
    def __init__(self, response: Union[WSGIResponse, ASGIOutcome], failed: bool) -> None:
        self.status: Optional[str] = response.status
        self.headers = response.headers or []
        if failed and not response.started:
            self.status, self.headers = "500 Internal Server Error", []
        self.sent = response.sent
        self.headers_sent = response.started
        code = (self.status or "").partition(" ")[0]
        self.status_code = int(code) if code.isdigit() else None
        self.response_length: Optional[int] = None
        for name, value in self.headers:
            if name.lower() == "content-length" and value.isdigit():
                self.response_length = int(value)
