# A logger class of one's own makes a process that writes all lines; one line keeps it
# for ever. A hook keeps the spawner.
import ctypes
import threading
import time

from indrik.glogging import Logger


class Mine(Logger):
    def warning(self, msg, *args, **kwargs):
        if "Reloader" in str(msg):
            return
        super().warning(msg, *args, **kwargs)

    def access(self, resp, req, environ, request_time):
        if environ["PATH_INFO"] == "/hang":

            def keep_the_logger():
                time.sleep(600)

            keep_the_logger()
        super().access(resp, req, environ, request_time)


logger_class = Mine
accesslog = "-"


def nworkers_changed(server, new, old):
    if new == 2:
        # In a thread, and after the hook has ended; with the interpreter held.
        def keep_the_interpreter():
            time.sleep(0.5)
            ctypes.PyDLL(None).sleep(600)

        threading.Thread(target=keep_the_interpreter, daemon=True).start()
