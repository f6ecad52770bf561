"""Apps of WSGI that raise, or break PEP 3333."""

from indrik.protocol import REPLY_ERROR, REPLY_RESPONSE, REPLY_START

from .support.wsgi import OK, TEXT, WSGITest


class Failures(WSGITest):
    APP = "wsgi_failures:app"

    def test_before_the_head(self):
        for path, error in [
            ("/early_error", "ValueError: early"),
            ("/twice", "AssertionError: Response headers already set!"),
            ("/never", "AssertionError: start_response() was not called"),
            ("/not_bytes", "TypeError: 'text' is not a byte"),
            ("/bad_status", "TypeError: 200 is not a string"),
            ("/bad_header", "TypeError: 1 is not a string"),
            ("/wide_header", "UnicodeEncodeError"),
            ("/none_result", "TypeError: 'NoneType' object is not iterable"),
            ("/huge_head", "response head"),
            ("/nix", "KeyError: 'nix'"),
        ]:
            with self.subTest(path):
                self.fails(path, error)

    def test_behind_the_head(self):
        for path, error in [
            ("/late_error", "ValueError: late"),
            ("/exc_info_late", "ZeroDivisionError"),
            ("/not_bytes_later", "TypeError: 'text' is not a byte"),
        ]:
            with self.subTest(path):
                messages = self.all(path)
                self.assertEqual(messages, [(REPLY_START, OK, TEXT, b"a"), (REPLY_ERROR,)])
                self.assertIn("[ERROR] Error handling request\n", self.master.wait_log(error))
        self.master.wait_log("closed")

    def test_behind_the_end(self):
        self.assertEqual(self.all("/close_error"), [(REPLY_RESPONSE, OK, [("Content-Length", "1")], b"a")])
        self.assertEqual(self.all("/one")[0][3], b"one")
        self.assertIn("ValueError: in close", self.master.wait_log("Error handling request\n"))
