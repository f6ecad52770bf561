"""Files as response bodies of WSGI, by wsgi.file_wrapper."""

import gzip
import os

from indrik.protocol import REPLY_CHUNK, REPLY_END, REPLY_FILE, REPLY_RESPONSE, REPLY_START

from .support.wsgi import OK, TEXT, WSGITest


class Files(WSGITest):
    APP = "wsgi_files:app"

    def test_descriptor(self):
        path = os.path.join(self.dir, "file")
        self.master.write("file", "0123456789" * 10000)
        id = self.master.request("/file?" + path)
        message = self.master.response(self.worker)
        self.assertEqual(message[:6], (REPLY_FILE, id, OK, TEXT, 3, -1))
        self.assertEqual(os.pread(message[6], 10, 0), b"0123456789")
        os.close(message[6])
        self.assertEqual(self.all("/file?" + path, method="HEAD"), [(REPLY_START, OK, TEXT, b""), (REPLY_END,)])

    def body(self, id, at):
        """Returns the body of a response that is what a small file has from at on."""
        message = self.master.response(self.worker)
        if message[0] == REPLY_RESPONSE:
            self.assertEqual(message[1:4], (id, OK, TEXT))
            return message[4]
        # The file system does not tell what is in memory.
        self.assertEqual(message[:6], (REPLY_FILE, id, OK, TEXT, at, -1))
        body = os.pread(message[6], 100, at)
        os.close(message[6])
        return body

    def test_small(self):
        path = os.path.join(self.dir, "file")
        self.master.write("file", "0123456789")
        self.assertEqual(self.body(self.master.request("/file?" + path), 3), b"3456789")
        self.master.write("file", "012")
        self.assertEqual(self.body(self.master.request("/file?" + path), 3), b"")

    def test_iterated(self):
        self.assertEqual(
            self.all("/file_in_memory"),
            [(REPLY_START, OK, TEXT, b"in m"), (REPLY_CHUNK, b"emor"), (REPLY_CHUNK, b"y"), (REPLY_END,)],
        )

        path = os.path.join(self.dir, "file.gz")
        with gzip.open(path, "wb") as f:
            f.write(b"unpacked")
        self.assertEqual(self.all("/file_gzip?" + path)[0], (REPLY_START, OK, TEXT, b"unpacked"))
        self.master.write("file", "0123456789")
        path = os.path.join(self.dir, "file")
        self.assertEqual(self.all("/file_wrapped?" + path)[0], (REPLY_START, OK, TEXT, b"0123456789"))

    def test_objects_of_their_own(self):
        # What an object reads is sent, whatever is in the file of its descriptor.
        self.master.write("file", "abcdefghij")
        path = os.path.join(self.dir, "file")
        for kind, wanted in [("pretends", b"read"), ("derived", b"ABCDEFGHIJ"), ("raw", b"raw")]:
            with self.subTest(kind):
                messages = self.all("/file_of_its_own?" + path, HTTP_KIND=kind)
                self.assertEqual(messages, [(REPLY_START, OK, TEXT, wanted), (REPLY_END,)])
        for kind, at, wanted in [
            ("plain", 0, b"abcdefghij"),
            ("unbuffered", 0, b"abcdefghij"),
            ("both", 0, b"abcdefghij"),
            ("written", 3, b"NOT flushed"),
        ]:
            with self.subTest(kind):
                id = self.master.request("/file_of_its_own?" + path, HTTP_KIND=kind)
                self.assertEqual(self.body(id, at), wanted[at:])
