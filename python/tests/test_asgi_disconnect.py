"""What becomes of an app of ASGI whose client has gone."""

from indrik.protocol import EVENT_GONE, REPLY_ERROR, REPLY_RESPONSE, REPLY_START

from .support.asgi import ASGITest


class Disconnect(ASGITest):
    APP = "asgi_disconnect:app"

    def test_stream(self):
        worker = self.up()
        id = self.ask(worker, "/wait")
        self.assertEqual(self.reply(worker), (REPLY_START, id, 200, [], b"begun"))
        self.event(worker, EVENT_GONE, id, None, None)
        self.master.wait_log("left")
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))

    def test_gone_and_cancelled(self):
        worker = self.up(asgi_disconnect_grace_period=0)
        id = self.ask(worker, "/sleep")
        self.master.wait_log("sleeping")
        self.event(worker, EVENT_GONE, id, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.master.wait_log("GET /sleep is cancelled: its client has gone, and asgi_disconnect_grace_period is 0 s")
        self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_client_cannot_forge_a_line(self):
        worker = self.up(asgi_disconnect_grace_period=0)
        id = self.ask(worker, "/sleep", raw_path=b"/sleep\n[CRITICAL] forged")
        self.master.wait_log("sleeping")
        self.event(worker, EVENT_GONE, id, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.master.wait_log("GET /sleep\\n[CRITICAL] forged is cancelled")

    def test_gone_and_not_cancelled(self):
        """What was begun is done to the end; what it sends is for nobody."""
        for path, log in (
            ("/ordering", "committed"),
            ("/streaming", "streamed"),
            ("/trailers_late", "trailers sent"),
            ("/file_late", "file sent"),
            ("/spinning", "another task came in"),
        ):
            worker = self.up()
            id = self.ask(worker, path)
            if path != "/ordering":
                self.assertEqual(self.reply(worker)[0], REPLY_START)
            self.master.wait_log("begun " + path)
            self.event(worker, EVENT_GONE, id, None, None)
            self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
            self.master.wait_log(log)
            self.assertNotIn("Error in ASGI", self.master.read_log())

    def test_response_to_nobody_ends_its_request(self):
        """A task that goes on after its response holds no place, as with a client."""
        worker = self.up()
        id = self.ask(worker, "/background")
        self.master.wait_log("begun /background")
        self.event(worker, EVENT_GONE, id, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.assertNotIn("background is done", self.master.read_log())
        self.ask(worker, "/enough")
        self.assertEqual(self.reply(worker)[0], REPLY_RESPONSE)
        self.master.wait_log("background is done")

    def test_gone_and_raising(self):
        worker = self.up(asgi_send_after_disconnect="raise")
        id = self.ask(worker, "/ordering")
        self.master.wait_log("begun /ordering")
        self.event(worker, EVENT_GONE, id, None, None)
        self.assertEqual(self.reply(worker), (REPLY_ERROR, id))
        self.master.wait_log("rolled back: ClientGone")
        self.assertNotIn("Error in ASGI", self.master.read_log())
