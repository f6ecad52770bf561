"""What hooks see of the server."""

import unittest

from indrik import config, view


class View(unittest.TestCase):
    def test_address(self):
        for bind, address in [
            ("127.0.0.1:80", ("127.0.0.1", 80)),
            ("LOCALHOST", ("localhost", 8000)),
            ("[::1]:90", ("::1", 90)),
            (":5000", ("0.0.0.0", 5000)),
            ("unix:/a/b", "/a/b"),
            ("unix:///a", "/a"),
            ("fd://3", 3),
            ("tcp://h:1", ("h", 1)),
        ]:
            self.assertEqual(view.parse_address(bind), address)

    def test_absent(self):
        server = view.Server()
        server.cfg = config.Config({"certfile": None}, config.ConfigFile(), None, "sync")
        server.update({"pid": 5, "address": ["h:1"], "num_workers": 2})
        self.assertEqual((server.pid, server.address, str(server.LISTENERS[0])), (5, [("h", 1)], "http://h:1"))
        server.cfg = config.Config({"certfile": "x"}, config.ConfigFile(), None, "sync")
        self.assertEqual(str(server.LISTENERS[0]), "https://h:1")
        for get, text in [
            (lambda: server.manage_workers, "Indrik has no server.manage_workers: the master does so"),
            (lambda: server.LISTENERS[0].sock, "Indrik has no listener.sock: the sockets belong to"),
            (lambda: server.LISTENERS[0].bind, "Indrik has no listener.bind: the sockets belong to"),
            (lambda: server.nix, "'Server' object has no attribute 'nix'"),
        ]:
            with self.assertRaises(AttributeError) as e:
                get()
            self.assertIn(text, str(e.exception))
