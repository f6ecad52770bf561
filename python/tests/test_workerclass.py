"""Worker classes of one's own: which are taken, and what runs of them."""

import time
import unittest
from types import SimpleNamespace

from indrik import workerclass
from indrik.workerclass import Beat, WorkerClassError
from indrik.workers import base, gasgi, ggevent, gthread, gtornado, sync, uvicorn


class Find(unittest.TestCase):
    def refused(self, cls):
        with self.assertRaises(WorkerClassError) as caught:
            workerclass.find("my.Worker", cls)
        return str(caught.exception)

    def test_a_class_means_the_kind_of_the_one_that_it_derives_from(self):
        for known, kind in {
            sync.SyncWorker: "sync",
            gthread.ThreadWorker: "gthread",
            ggevent.GeventWorker: "gevent",
            ggevent.GeventPyWSGIWorker: "gevent",
            gtornado.TornadoWorker: "tornado",
            gasgi.ASGIWorker: "asgi",
            uvicorn.UvicornWorker: "asgi",
            uvicorn.UvicornH11Worker: "asgi",
        }.items():
            mine = type("Mine", (known,), {})
            self.assertIs(workerclass.find("my.Mine", mine), mine)
            self.assertEqual(mine.indrik_kind, kind)

    def test_by_name(self):
        self.assertIs(workerclass.find("tests.test_workerclass.Named", None), Named)
        self.assertIs(workerclass.find("tests.test_workerclass:Named", None), Named)

    def test_what_cannot_be_found(self):
        for name, want in {
            "no.such.module": "class uri 'no.such.module' invalid or not found: No module named 'no'",
            "os.nothing": "class uri 'os.nothing' invalid or not found: module 'os' has no attribute 'nothing'",
            "os.path.join": "it is no class that derives from one of indrik.workers",
        }.items():
            with self.assertRaises(WorkerClassError) as caught:
                workerclass.find(name, None)
            self.assertIn(want, str(caught.exception))

    def test_a_worker_of_another_server(self):
        theirs = type("W", (), {"__module__": "meinheld.gmeinheld"})
        self.assertIn("'sync' or 'gthread' runs the same apps", self.refused(theirs))
        self.assertIn("has a loop of its own", self.refused(type("W", (base.Worker,), {})))

    def test_methods_that_replace_the_loop_are_refused_by_name(self):
        for name in workerclass.REFUSED:
            mixin = type("Mixin", (), {name: lambda self: None})
            text = self.refused(type("Mine", (mixin, sync.SyncWorker), {}))
            self.assertTrue(text.startswith("worker class my.Worker: its %s() cannot run here: " % name), text)

    def test_serve_may_surround_the_requests_but_not_start_a_server(self):
        class Around(uvicorn.UvicornWorker):
            async def _serve(self):
                await super()._serve()

        self.assertIs(workerclass.find("my.Around", Around), Around)

        class Instead(uvicorn.UvicornWorker):
            async def _serve(self):
                await self.other.serve(sockets=self.sockets)

        self.assertIn("its _serve() cannot run here: it starts a server of its own", self.refused(Instead))

        class Elsewhere(sync.SyncWorker):
            async def _serve(self):
                await super()._serve()

        self.assertIn("its _serve() cannot run here", self.refused(Elsewhere))

    def test_the_worker_of_geventwebsocket_is_known(self):
        theirs = type(
            "W", (ggevent.GeventPyWSGIWorker,), {"__module__": "geventwebsocket.gunicorn.workers", "wsgi_handler": 1}
        )
        self.assertIs(workerclass.find("my.Mine", type("Mine", (theirs,), {})).indrik_kind, "gevent")

    def test_run_may_surround_the_loop_but_not_replace_it(self):
        class Around(sync.SyncWorker):
            def run(self):
                try:
                    super().run()
                finally:
                    self.clean()

        class Older(Around):
            def run(self):
                with self.x:
                    Around.run(self)

        class Request(sync.SyncWorker):
            def handle_request(self, listener, req, client, addr):
                with self.timer:
                    super().handle_request(listener, req, client, addr)

        workerclass.find("my.Worker", Request)
        for bases, text in {
            (type("Silent", (), {"handle_request": lambda self, req, conn: None}), gthread.ThreadWorker): "super()",
            (type("A", (), {"handle_request": Request.handle_request}), gasgi.ASGIWorker): "for WSGI",
            (type("C", (Request,), {"handle_request": lambda self, c: c.getpeercert()}),): "SSL_CLIENT_S_DN",
        }.items():
            said = self.refused(type("Mine", bases, {}))
            self.assertIn("its handle_request() cannot run here", said)
            self.assertIn(text, said)

        class Loop(sync.SyncWorker):
            def run(self):
                while self.alive:
                    self.notify()

        class Other(sync.SyncWorker):
            def run(self):
                super().__init__()

        workerclass.find("my.Worker", Around)
        workerclass.find("my.Worker", Older)
        self.assertIn("its run() is a loop of its own", self.refused(Loop))
        self.assertIn("its run() is a loop of its own", self.refused(Other))

    def test_what_is_not_called_is_said(self):
        class Mine(sync.SyncWorker):
            def handle_error(self, req, client, addr, exc):
                pass

        self.assertEqual(len(workerclass.remarks("my.Worker", Mine)), 1)
        self.assertIn("its handle_error() is not called", workerclass.remarks("my.Worker", Mine)[0])
        self.assertEqual(workerclass.remarks("my.Worker", Named), [])

    def test_options(self):
        class Mine(uvicorn.UvicornWorker):
            CONFIG_KWARGS = {**uvicorn.UvicornWorker.CONFIG_KWARGS, "root_path": "/x", "ssl_keyfile": None}

        self.assertEqual(workerclass.options(Mine), {"root_path": "/x"})
        self.assertEqual(workerclass.options(uvicorn.UvicornH11Worker), {"loop": "asyncio", "http": "h11"})
        self.assertEqual(workerclass.options(Named), {})


class Named(sync.SyncWorker):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.early = self.age, self.timeout, self.cfg, self.app

    def notify(self):
        super().notify()
        self.beats = getattr(self, "beats", 0) + 1


class Adopted(unittest.TestCase):
    def setUp(self):
        self.worker = SimpleNamespace(
            age=3,
            ppid=1,
            pid=7,
            sockets=["s"],
            timeout=30,
            cfg="cfg",
            log="log",
            nr=0,
            alive=True,
            tmp=SimpleNamespace(notify=lambda: None),
            app=SimpleNamespace(shown="app"),
            heed=lambda: None,
        )
        workerclass.adopt(self.worker, Named)

    def test_it_has_what_gunicorns_has(self):
        own = self.worker.own
        self.assertEqual(own.early, (3, 15, "cfg", "app"))
        self.assertEqual((own.pid, own.ppid, own.sockets, str(own)), (7, 1, ["s"], "<Worker 7>"))
        own.alive = False
        self.assertIs(self.worker.alive, False)
        with self.assertRaisesRegex(AttributeError, "no pipe to the master"):
            own.rfd.read()

    def test_beat(self):
        beat = workerclass.beat_of(self.worker)
        self.assertEqual(beat.every, 15)
        beat()
        beat()
        self.assertEqual(self.worker.own.beats, 1)

    def test_no_beat_without_a_notify_of_its_own(self):
        workerclass.adopt(self.worker, type("Plain", (sync.SyncWorker,), {}))
        self.assertIsNone(workerclass.beat_of(self.worker))
        self.worker.own = None
        self.assertIsNone(workerclass.beat_of(self.worker))

    def test_a_beat_comes_again(self):
        calls = []
        beat = Beat(lambda: calls.append(1), 0.001)
        beat()
        time.sleep(0.002)
        beat()
        self.assertEqual(len(calls), 2)
