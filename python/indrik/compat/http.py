"""gunicorn.http and its modules. Requests are parsed by the front; these are the types that
hooks and loggers mention, and the exceptions that apps and frameworks catch."""

from __future__ import annotations

from ..hookview import Request
from ..hookview import Response as Response
from .hints import elsewhere

_FRONT = "requests are parsed by the front, in Go"

Message = Request
Body = elsewhere("gunicorn.http.body.Body", _FRONT + "; the body of one is environ['wsgi.input']")
RequestParser = elsewhere("gunicorn.http.parser.RequestParser", _FRONT)
create = elsewhere("gunicorn.http.wsgi.create", _FRONT)
FileWrapper = elsewhere("gunicorn.http.wsgi.FileWrapper", "an app finds it in environ['wsgi.file_wrapper']")


class ParseException(Exception):
    """Never raised: the front answers what cannot be parsed."""


class NoMoreData(OSError):
    """Never raised: an app runs when the body is there."""


class ConfigurationProblem(ParseException):
    pass


class InvalidRequestLine(ParseException):
    pass


class InvalidRequestMethod(ParseException):
    pass


class ExpectationFailed(ParseException):
    pass


class InvalidHTTPVersion(ParseException):
    pass


class InvalidHeader(ParseException):
    pass


class ObsoleteFolding(ParseException):
    pass


class InvalidHeaderName(ParseException):
    pass


class UnsupportedTransferCoding(ParseException):
    pass


class InvalidChunkSize(OSError):
    pass


class ChunkMissingTerminator(OSError):
    pass


class LimitRequestLine(ParseException):
    pass


class LimitRequestHeaders(ParseException):
    pass


class InvalidProxyLine(ParseException):
    pass


class ForbiddenProxyRequest(ParseException):
    pass


class InvalidSchemeHeaders(ParseException):
    pass
