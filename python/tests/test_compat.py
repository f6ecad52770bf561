"""What imports of Gunicorn's modules find in a process of the server."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from .support.master import PYTHON_DIR


def run(code, *paths):
    """Runs code in a process of its own, after the finder was installed, and returns what it
    has printed."""
    path = os.pathsep.join([PYTHON_DIR, *paths])
    done = subprocess.run(
        [sys.executable, "-S", "-c", "from indrik.compat import finder\nfinder.install()\n" + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(os.environ, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1"),
        text=True,
    )
    return done.stdout.strip()


def imported_by_others():
    """Returns the rows of docs/gunicorn-imports.md: modules, name, and what is there of it."""
    with open(os.path.join(PYTHON_DIR, "..", "docs", "gunicorn-imports.md")) as f:
        rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in f if line.startswith("| `gun")]
    return [(row[0].replace("`", "").split(", "), row[1].strip("`"), row[3]) for row in rows if len(row) == 4]


class Imports(unittest.TestCase):
    def test_every_name_that_others_import(self):
        rows = imported_by_others()
        self.assertGreater(len(rows), 50)
        there = ""
        for modules, name, state in rows:
            for module in modules:
                statement = (
                    "import %s" % module if name.startswith("the module") else "from %s import %s" % (module, name)
                )
                if state.startswith("no"):
                    self.assertIn("Error", run(statement), statement)
                else:
                    there += statement + "\n"
                    if name.startswith("the module") and "." in module:
                        there += "from %s import %s\n" % tuple(module.rsplit(".", 1))
        self.assertEqual(run(there), "")

    def test_both_names_are_one_module(self):
        self.assertEqual(
            run(
                """
                import gunicorn.glogging, indrik.glogging, gunicorn.workers.sync as s, indrik.workers.sync
                import importlib.util
                print(gunicorn.glogging is indrik.glogging, s.SyncWorker is indrik.workers.sync.SyncWorker)
                print(gunicorn.workers.sync is s, s.__spec__.name, s.SyncWorker)
                """
            ),
            "True True\nTrue indrik.workers.sync <class 'gunicorn.workers.sync.SyncWorker'>",
        )

    def test_dirty_is_pools(self):
        self.assertEqual(
            run(
                """
                import gunicorn.dirty, gunicorn.dirty.stash, indrik.pools
                from gunicorn.dirty import stash, get_dirty_client
                from gunicorn.dirty.app import DirtyApp
                from gunicorn.dirty.errors import DirtyNoWorkersAvailableError, DirtyError
                print(stash is gunicorn.dirty.stash is indrik.pools.stash, DirtyApp is indrik.pools.DirtyApp)
                print(all(getattr(indrik.pools, name, None) is getattr(gunicorn.dirty, name)
                    for name in gunicorn.dirty.__all__ if name not in ("DirtyArbiter", "set_dirty_socket_path")))
                try: get_dirty_client()
                except DirtyError as e: print("dirty_apps" in str(e))
                try: gunicorn.dirty.DirtyArbiter()
                except NotImplementedError as e: print(e)
                """
            ),
            "True True\nTrue\nTrue\n"
            "gunicorn.dirty.DirtyArbiter is not there with Indrik: "
            "that is the business of the master, which is a Go process",
        )

    def test_what_is_not_there_says_what_to_do(self):
        for module, want in {
            "gunicorn.nothing": "of this module Indrik has nothing",
            "gunicorn.workers.geventlet": "the worker class gevent does the same",
            "gunicorn.dirty.worker": "the master and the front do the work of its arbiter",
        }.items():
            with self.subTest(module):
                out = run("try: import %s\nexcept ModuleNotFoundError as e: print(e.name, e)" % module)
                self.assertTrue(out.startswith(module + " no module named"), out)
                self.assertIn(want, out)

    def test_what_cannot_be_called_says_what_to_do(self):
        out = run(
            """
            from gunicorn.sock import create_sockets
            from gunicorn.workers.gthread import TConn
            class Mine(TConn): pass
            for call in create_sockets, Mine:
                try: call(1)
                except NotImplementedError as e: print(e)
            """
        )
        self.assertRegex(out, r"(?m)^gunicorn\.sock\.create_sockets is not there with Indrik: the sockets belong to ")
        self.assertRegex(out, r"(?m)^__main__\.Mine is not there with Indrik: the sockets belong to ")

    def test_found_names_the_modules(self):
        self.assertEqual(
            run("import gunicorn.workers.sync, gunicorn.util\nprint(*finder.found())"),
            "gunicorn.util gunicorn.workers.sync",
        )

    def test_uvicorn_itself_is_not_stood_in_for(self):
        out = run(
            """
            try: import uvicorn
            except ModuleNotFoundError as e: print(e)
            import uvicorn.workers
            print(uvicorn.workers.UvicornWorker)
            """
        )
        self.assertEqual(out, "No module named 'uvicorn'\n<class 'uvicorn.workers.UvicornWorker'>")


class BesideARealOne(unittest.TestCase):
    """Where a real gunicorn is installed, its libraries are its own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = directory.name
        for path, text in {
            "gunicorn/__init__.py": "SERVER = 'real'",
            "gunicorn/util.py": "where = 'real'",
            "gunicorn/mine.py": "where = 'real'",
            "gunicorn/workers/__init__.py": "",
            "gunicorn/workers/base.py": "from gunicorn.mine import where",
            "gunicorn/workers/theirs.py": "where = 'real'",
        }.items():
            path = os.path.join(self.dir, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(text)

    def test(self):
        out = run(
            """
            import gunicorn, gunicorn.mine, gunicorn.util, gunicorn.workers.base, gunicorn.workers.theirs
            print(gunicorn.SERVER, gunicorn.mine.where, gunicorn.workers.theirs.where)
            print(gunicorn.workers.base.Worker, gunicorn.util.where)
            """,
            self.dir,
        )
        self.assertEqual(out, "gunicorn real real\n<class 'gunicorn.workers.base.Worker'> real")

    def test_one_that_came_first_is_left(self):
        out = run(
            """
            import sys
            sys.meta_path.remove(finder._FINDER)
            import gunicorn.workers.base
            print(gunicorn.SERVER)
            finder.install()
            import gunicorn.workers.base
            print(gunicorn.SERVER, gunicorn.workers.base.Worker)
            """,
            self.dir,
        )
        self.assertEqual(out, "real\ngunicorn <class 'gunicorn.workers.base.Worker'>")


class Util(unittest.TestCase):
    def test_functions(self):
        from indrik.compat import util

        self.assertEqual(util.parse_address("example.org", "80"), ("example.org", 80))
        self.assertEqual(util.parse_address("[::1]:5"), ("::1", 5))
        self.assertEqual(util.parse_address("unix:/x"), "/x")
        self.assertEqual(util.http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT")
        self.assertTrue(util.is_ipv6("::1"))
        self.assertFalse(util.is_ipv6("127.0.0.1"))
        self.assertTrue(util.is_hoppish("Connection"))
        self.assertEqual(util.load_class("os.path.join"), os.path.join)
        self.assertEqual(util.load_class(Util), Util)
        self.assertEqual(util.bytes_to_str(b"\xe4"), "ä")
        self.assertEqual(util.to_bytestring("ä"), "ä".encode())
        self.assertEqual(os.path.realpath(util.getcwd()), os.getcwd())
        for uri in ("nowhere.Class", "os.Nothing", "egg:no-such-dist#x", "x"):
            with self.assertRaises(RuntimeError, msg=uri):
                util.load_class(uri)


class ServerName(unittest.TestCase):
    def test_what_is_set_is_the_field_server(self):
        for statement, want in {
            "": "{} ",
            "gunicorn.SERVER = 'x'": "{'server_header': 'x'} ",
            "gunicorn.SERVER = ''": "{'server_header': 'off'} ",
            "gunicorn.SERVER_SOFTWARE = 'y/1'": "{'server_header': 'y/1'} y/1",
            "gunicorn.SERVER, gunicorn.SERVER_SOFTWARE = 'x', 'y'": "{'server_header': 'x'} y",
        }.items():
            with self.subTest(statement):
                out = run("import gunicorn\n%s\nprint(gunicorn.settings(), gunicorn.software())" % statement)
                self.assertEqual(out, want.strip())
