"""What all conversations of an app with a client have in common, in ASGI: the task,
the client that may go, and the room for what is sent."""

from asyncio import CancelledError
from marshal import dumps

from .exchange import ERROR, FAIL, FORMAT, ClientGone

# How many bytes may be on their way to the client; docs/protocol.md says how they are
# counted.
WINDOW = 256 << 10

# How many bytes of a body may be on their way to the app.
ROOM = 256 << 10

GONE = "the client has gone"


class Conversation:
    """One call of the app. A subclass for each worker holds server and log."""

    server = None
    log = None
    number = 0
    scope = None
    task = None
    body = None  # what came and was not given to the app, if it is not in parts
    gone = False  # the client
    done = False  # nothing more can be said to the client
    window = WINDOW
    readers = None  # futures of those that wait in receive()
    writers = None  # the same, in send()
    timer = None  # cancels the task

    async def run(self, app, scope):
        """Runs the app until it returns."""
        try:
            await app(scope, self.receive, self.send)
            if not self.done:
                self.unfinished()
        except CancelledError:
            self.cancelled()
            raise
        except GeneratorExit:
            raise
        except BaseException as e:
            self.failed(e)
        finally:
            if self.timer is not None:
                self.timer.cancel()
            server = self.server
            del server.requests[self.number]
            if server.stopping:
                server.look()

    def stays(self):
        """Tells whether it may go on after graceful_timeout."""
        return False

    def cancelled(self):
        if self.done:
            return
        if self.server.expired:
            self.finish(dumps((FAIL, self.number, 504), FORMAT))
            return
        if not self.gone:
            self.log.error("Error in ASGI application: its task was cancelled")
        self.fail()

    def failed(self, error):
        if not (self.gone and _is_of_client_gone(error)):
            self.log.exception("Error in ASGI application")
        if not self.done:
            self.fail()

    def unfinished(self):
        """The app has returned too early."""
        raise NotImplementedError

    def fail(self):
        self.finish(dumps((ERROR, self.number), FORMAT))

    def finish(self, data):
        """Sends the last message of this conversation."""
        self.done = True
        self.server.put(data)
        if self.readers:
            self.wake_readers()
        if self.writers:
            self.wake_writers()

    # Messages from the front

    def on_gone(self, a=None, b=None):
        if self.gone:
            return
        self.gone = True
        self.wake_readers()
        self.wake_writers()
        server = self.server
        if server.grace is None:
            return  # what the app does it may do to the end
        if server.grace:
            self.timer = server.loop.call_later(server.grace, self.cut)
        else:
            # The task has not begun yet, perhaps.
            server.loop.call_soon(self.cut)

    def on_grant(self, count, b=None):
        self.window += count
        if self.window > 0:
            self.wake_writers()

    def cut(self):
        """Cancels the task because the client has gone."""
        if self.task is not None and not self.task.done():
            self.log.info(
                "%s is cancelled: its client has gone, and asgi_disconnect_grace_period is %s s",
                self.describe(),
                self.server.grace,
            )
            self.task.cancel()

    def cancel(self):
        if self.task is not None:
            self.task.cancel()

    def describe(self):
        """Names the request, for the log: by the path as it came, in which a client has
        no line breaks."""
        scope = self.scope
        return "%s %s" % (scope.get("method", "WebSocket"), ascii(scope.get("raw_path", b"").decode("latin-1"))[1:-1])

    def is_over(self):
        """Tells whether the client has gone, or the app has: a task of it may go on."""
        return self.gone or self.done

    # Waiting

    async def wait_reader(self):
        future = self.server.loop.create_future()
        if self.readers is None:
            self.readers = [future]
        else:
            self.readers.append(future)
        await future

    async def wait_writer(self):
        future = self.server.loop.create_future()
        if self.writers is None:
            self.writers = [future]
        else:
            self.writers.append(future)
        await future

    def wake_readers(self):
        self.readers = _wake(self.readers)

    def wake_writers(self):
        self.writers = _wake(self.writers)

    async def await_tray(self):
        """Waits until a large part of a response may be put on the tray, which is to be
        done at once; raises ClientGone. Who came first goes first."""
        server = self.server
        tray, wanted = server.tray, server.tray_wanted
        if tray.is_free() and not wanted:
            return
        wanted.append(self)
        takes = False
        try:
            while not (tray.is_free() and wanted[0] is self) and not self.is_over():
                await self.wait_writer()
            takes = not self.is_over()
        finally:
            wanted.remove(self)
            if not takes:
                server.on_tray()  # it may have been the turn of this one
        if not takes:
            raise ClientGone(GONE)

    async def await_window(self):
        """Waits until more may be sent; raises ClientGone."""
        while self.window <= 0 and not self.is_over():
            await self.wait_writer()
        if self.server.backlog:
            await self.server.room()
        if self.is_over():
            raise ClientGone(GONE)


def _wake(futures):
    if futures:
        for future in futures:
            if not future.done():
                future.set_result(None)
    return None


def _is_of_client_gone(error):
    """Tells whether an exception comes of the one that send() raised: frameworks put
    their own in its place."""
    for _ in range(10):
        if error is None:
            return False
        if isinstance(error, ClientGone):
            return True
        error = error.__cause__ or error.__context__
    return False
