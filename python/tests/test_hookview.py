"""Requests and responses as the hooks pre_request and post_request see them."""

import unittest
from unittest import mock

from indrik import hookview


def environ(**more):
    return dict(
        {
            "REQUEST_METHOD": "GET",
            "RAW_URI": "/mount/a%20b?q=1#f",
            "PATH_INFO": "/a b",
            "SCRIPT_NAME": "/mount",
            "QUERY_STRING": "q=1",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "REMOTE_PORT": "5",
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": "3",
            "HTTP_X_A": "1,2",
            "wsgi.url_scheme": "https",
            "wsgi.input": None,
        },
        **more,
    )


def scope(**more):
    return dict(
        {
            "method": "GET",
            "path": "/\u00e4",
            "raw_path": b"/%C3%A4",
            "root_path": "/mount",
            "query_string": b"q=\xe9",
            "http_version": "1.1",
            "scheme": "http",
            "client": ("192.0.2.1", 5),
            "headers": [(b"host", b"h"), (b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"3")],
        },
        **more,
    )


class Requests(unittest.TestCase):
    def test_attributes(self):
        request = hookview.Request(environ())
        self.assertEqual((request.method, request.scheme, request.query), ("GET", "https", "q=1"))
        self.assertEqual((request.uri, request.path), ("/mount/a%20b?q=1#f", "/mount/a%20b"))
        self.assertEqual((request.version, request.remote_addr), ((1, 1), ("192.0.2.1", "5")))
        self.assertEqual(request.headers, [("CONTENT-TYPE", "text/plain"), ("CONTENT-LENGTH", "3"), ("X-A", "1,2")])
        local = environ()
        del local["REMOTE_ADDR"], local["REMOTE_PORT"]
        self.assertEqual(hookview.Request(local).peer_addr, (None, None))

    def test_nothing_is_changed(self):
        given = environ()
        hookview.Request(given).apply(given)
        self.assertEqual(given, environ())

    def test_changes(self):
        given = environ()
        request = hookview.Request(given)
        request.method, request.uri, request.query, request.scheme = "POST", "/new", "x=y", "http"
        request.path = "/mount/c%C3%A4"
        request.headers = [(n, v) for n, v in request.headers if n != "CONTENT-TYPE"]
        request.headers += [("x-a", "3"), ("New", "n"), ("Content-Type", "t")]
        request.apply(given)
        self.assertEqual(
            given,
            environ(
                REQUEST_METHOD="POST",
                RAW_URI="/new",
                QUERY_STRING="x=y",
                PATH_INFO="/c\xc3\xa4",
                CONTENT_TYPE="t",
                HTTP_X_A="1,2,3",
                HTTP_NEW="n",
                **{"wsgi.url_scheme": "http"},
            ),
        )

    def test_path_outside_of_the_mount(self):
        given = environ()
        request = hookview.Request(given)
        request.path = "/other"
        request.apply(given)
        self.assertEqual((given["SCRIPT_NAME"], given["PATH_INFO"]), ("/mount", "/other"))

    def test_header_that_is_taken_away(self):
        given = environ()
        request = hookview.Request(given)
        request.headers.clear()
        request.apply(given)
        for name in "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_A":
            self.assertNotIn(name, given)


class Scopes(unittest.TestCase):
    def test_environ(self):
        got = hookview.environ(scope())
        self.assertEqual(
            got,
            {
                "REQUEST_METHOD": "GET",
                "RAW_URI": "/%C3%A4?q=\xe9",
                "PATH_INFO": "/\u00e4",
                "SCRIPT_NAME": "/mount",
                "QUERY_STRING": "q=\xe9",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "REMOTE_ADDR": "192.0.2.1",
                "REMOTE_PORT": "5",
                "HTTP_HOST": "h",
                "HTTP_X_A": "1,2",
                "CONTENT_LENGTH": "3",
                "wsgi.url_scheme": "http",
                "wsgi.input": None,
            },
        )

    def test_unix_socket_and_http2(self):
        got = hookview.environ(scope(client=None, http_version="2", query_string=b""))
        self.assertEqual((got["REMOTE_ADDR"], got["REMOTE_PORT"]), ("", ""))
        self.assertEqual((got["SERVER_PROTOCOL"], got["RAW_URI"]), ("HTTP/2.0", "/%C3%A4"))
        self.assertEqual(hookview.Request(got).version, (2, 0))

    def test_nothing_is_changed(self):
        given = scope()
        hookview.Request(hookview.environ(given)).apply_to(given)
        self.assertEqual(given, scope())

    def test_changes(self):
        given = scope()
        request = hookview.Request(hookview.environ(given))
        request.method, request.query, request.scheme, request.path = "PUT", "z=\xe9", "https", "/%C3%B6"
        request.headers = [("X-New", "\xe9")]
        request.apply_to(given)
        self.assertEqual(
            given,
            scope(
                method="PUT",
                query_string=b"z=\xe9",
                scheme="https",
                path="/\u00f6",
                raw_path=b"/%C3%B6",
                headers=[(b"x-new", b"\xe9")],
            ),
        )


class Responses(unittest.TestCase):
    def response(self, failed=False, **more):
        fields = {"status": "404 Not Found", "headers": [("Content-Length", "12")], "started": True, "sent": 5}
        return hookview.Response(mock.Mock(**dict(fields, **more)), failed)

    def test_attributes(self):
        response = self.response()
        self.assertEqual((response.status, response.status_code), ("404 Not Found", 404))
        self.assertEqual((response.sent, response.response_length, response.headers_sent), (5, 12, True))

    def test_without_a_length(self):
        for headers in [], None, [("Content-Length", "many")], [("X", "1")]:
            self.assertIsNone(self.response(headers=headers).response_length)

    def test_failure(self):
        response = self.response(failed=True, started=False)
        self.assertEqual((response.status, response.status_code), ("500 Internal Server Error", 500))
        self.assertEqual((response.headers, response.headers_sent), ([], False))
        self.assertEqual(self.response(failed=True).status_code, 404)  # its head was sent
        self.assertIsNone(self.response(status=None).status_code)

    def test_of_asgi(self):
        outcome = hookview.ASGIOutcome(mock.Mock(status=204, sent=0, headers=[(b"a", b"\xe9")]))
        response = hookview.Response(outcome, False)
        self.assertEqual((response.status, response.status_code), ("204", 204))
        self.assertEqual((response.headers, response.headers_sent, response.sent), ([("a", "\xe9")], True, 0))
        outcome = hookview.ASGIOutcome(mock.Mock(status=None, sent=None, headers=None))
        response = hookview.Response(outcome, True)
        self.assertEqual((response.status_code, response.headers_sent), (500, False))
