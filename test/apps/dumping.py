"""Does its worst with the file that its stacks go to, and goes on serving."""

import faulthandler
import fcntl
import os
import signal
import threading
import time

DUMP = 40
GARBAGE = (
    b"Thread 0x1 (most recent call first):\n"
    b'  File "\x1b]0;owned\x07\x1b[2J\xe2\x80\xae\xc2\x9b1m\x00\xff", line 1 in f\r\n'
    b"Stacks 1\nEnd of stacks 1\n"
)


def dump_file():
    for fd in os.listdir("/proc/self/fd"):
        try:
            if "indrik-stacks" in os.readlink("/proc/self/fd/" + fd):
                return int(fd)
        except OSError:
            pass


def answer_with(function):
    faulthandler.unregister(DUMP)
    signal.signal(DUMP, lambda number, frame: function())


def escapes(fd):
    answer_with(lambda: os.write(fd, GARBAGE * 20000))


def huge(fd):
    answer_with(lambda: os.ftruncate(fd, os.fstat(fd).st_size + (1 << 40)))


def sealed(fd):
    os.ftruncate(fd, 2 << 20)
    try:
        fcntl.fcntl(fd, 1033, 0x2)  # F_ADD_SEALS, F_SEAL_SHRINK
    except OSError:
        pass


def moved(fd):
    os.lseek(fd, (1 << 62), os.SEEK_SET)


def restless(fd):
    def run():
        while True:
            for _ in range(50):
                os.write(fd, GARBAGE * 100)
                time.sleep(0.0001)
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)

    threading.Thread(target=run, daemon=True).start()


def silent(fd):
    answer_with(lambda: None)


def app(environ, start_response):
    way = environ["PATH_INFO"].strip("/")
    if way == "stuck":
        time.sleep(60)
    if way:
        globals()[way](dump_file())
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
