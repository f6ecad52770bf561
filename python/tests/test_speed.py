"""Workers with the compiled code of indrik-speed, where that is installed for the tests."""

from .support import MasterTest
from .support.master import SPEED

APP = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
"""


class Used(MasterTest):
    """What a worker tells of it."""

    def test_sync(self):
        worker = self.master.serve("wsgi_requests:app")
        self.assertEqual(worker.speed, "1.2.3" if SPEED else "")
        self.assertEqual(self.master.get(worker, "/one")[4], b"one")

    def test_off(self):
        self.assertEqual(self.master.serve("wsgi_requests:app", speed="off").speed, "")

    def test_threads(self):
        worker = self.master.serve("wsgi_requests:app", slots=2, threads=2)
        self.assertEqual(worker.speed, "1.2.3" if SPEED else "")
