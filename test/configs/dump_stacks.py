# Where does a worker hang? INT makes it say so before it ends.
import sys
import threading
import traceback

loglevel = "debug"
worker_class = "gthread"
threads = 2


def _stacks():
    names = {t.ident: t.name for t in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        yield "# Thread: %s(%d)" % (names.get(ident, ""), ident)
        for filename, lineno, name, line in traceback.extract_stack(frame):
            yield 'File: "%s", line %d, in %s' % (filename, lineno, name)
            if line:
                yield "  %s" % line.strip()


def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")
    worker.log.debug("\n".join(_stacks()))


def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
