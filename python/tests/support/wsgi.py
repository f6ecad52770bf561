"""Tests of apps of WSGI."""

from __future__ import annotations

from typing import Any, List

from indrik.protocol import REPLY_END, REPLY_ERROR, REPLY_FILE, REPLY_RESPONSE

from .master import MasterTest
from .messages import Message

TEXT = [("Content-Type", "text/plain")]
OK = "200 OK"


def data(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


class WSGITest(MasterTest):
    APP = ""  # a module of the apps, and the name there

    def setUp(self) -> None:
        super().setUp()
        self.worker = self.master.serve(self.APP)

    def all(self, path: str, **kwargs: Any) -> List[Message]:
        """Returns the messages of a response, less the id."""
        id = self.master.request(path, **kwargs)
        messages = []
        while True:
            m = self.master.response(self.worker)
            self.assertEqual(m[1], id)
            messages.append(m[:1] + m[2:])
            if m[0] in (REPLY_RESPONSE, REPLY_END, REPLY_FILE, REPLY_ERROR):
                return messages

    def fails(self, path: str, error: str, head: str = "Error handling request GET ") -> None:
        self.assertEqual(self.all(path), [(REPLY_ERROR,)])
        log = self.master.wait_log(error)
        self.assertIn("[ERROR] " + head, log)
        self.assertEqual(self.all("/one")[0][3], b"one")
