"""Log files that root opens in directories of others."""

import os
import shutil
import socket
import sys
import tempfile
import unittest

from indrik.files import open_for_appending, socket_at

NOBODY = 65534


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, path, text="line\n"):
        fd = open_for_appending(path)
        self.assertTrue(os.get_blocking(fd))
        self.assertFalse(os.get_inheritable(fd))
        os.write(fd, text.encode())
        os.close(fd)

    def text(self, path):
        with open(path) as f:
            return f.read()

    def test_appends(self):
        path = self.path("log")
        for _ in range(2):
            self.write(path)
        self.assertEqual(self.text(path), "line\nline\n")
        os.symlink("log", self.path("link"))
        self.write(self.path("link"))
        self.assertEqual(len(self.text(path)), 15)
        for bad, error in [(path + "/x", NotADirectoryError), (self.path("none", "x"), FileNotFoundError)]:
            with self.assertRaises(error):
                open_for_appending(bad)
        os.mkfifo(self.path("pipe"))
        with self.assertRaises(OSError):
            open_for_appending(self.path("pipe"))

    def test_sockets(self):
        path = self.path("socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server, socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM
        ) as client:
            server.bind(path)
            os.symlink("socket", self.path("link"))
            with socket_at(self.path("link")) as found:
                os.rename(path, path + ".1")
                os.rename(path + ".1", path)
                client.connect(found)
            client.send(b"hello")
            self.assertEqual(server.recv(100), b"hello")

    @unittest.skipUnless(sys.platform == "linux", "needs /proc")
    def test_links_of_the_kernel(self):
        r, w = os.pipe()
        os.symlink("/proc/self/fd/%d" % w, self.path("stdout"))
        for path in self.path("stdout"), "/proc/self/fd/%d" % w, "/dev/null":
            self.write(path)
        os.close(w)
        self.assertEqual(os.read(r, 100), b"line\nline\n")
        os.close(r)

    @unittest.skipUnless(sys.platform == "linux" and os.geteuid() == 0, "needs root on Linux")
    def test_what_others_made(self):
        with self.assertRaises(FileNotFoundError), socket_at(self.path("none")):
            self.fail("it was found")
        before = len(os.listdir("/proc/self/fd"))
        theirs, secret = self.path("theirs"), self.path("secret")
        os.mkdir(theirs)
        os.chown(theirs, NOBODY, NOBODY)
        with open(secret, "w") as f:
            f.write("root's")

        def their_link(to, name):
            path = os.path.join(theirs, name)
            os.symlink(to, path)
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
            return path

        os.symlink(secret, self.path("link"))
        os.link(secret, os.path.join(theirs, "hard"))
        os.link(self.path("link"), os.path.join(theirs, "hardlink"), follow_symlinks=False)
        their_link(self.dir, "sub")
        for path in [
            their_link(secret, "a.log"),
            their_link(self.path("new"), "b.log"),
            their_link("loop", "loop"),
            os.path.join(theirs, "sub", "secret"),
            os.path.join(theirs, "sub", "new"),
            os.path.join(theirs, "hard"),
            os.path.join(theirs, "hardlink"),
        ]:
            with self.assertRaises(OSError, msg=path) as caught:
                open_for_appending(path)
            self.assertIn(path, str(caught.exception))
            with self.assertRaises(OSError, msg=path), socket_at(path):
                self.fail("it was found")
        self.assertEqual(self.text(secret), "root's")
        self.assertFalse(os.path.exists(self.path("new")))
        # What root made in it is followed.
        os.symlink("../root.log", os.path.join(theirs, "ours"))
        for _ in range(2):
            self.write(os.path.join(theirs, "ours"))
            self.write(os.path.join(theirs, "plain.log"))
        self.assertEqual(self.text(self.path("root.log")), "line\nline\n")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
