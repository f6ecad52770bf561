"""Writes what it likes into the directory of the app's metrics."""

import os
import struct

DIRECTORY = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")


def content(*entries):
    """Returns a file of prometheus_client with these keys and values."""
    parts = []
    for key, value in entries:
        key = key.encode()
        padding = b" " * (8 - (len(key) + 4) % 8)
        parts += [struct.pack("i", len(key)), key, padding, struct.pack("dd", value, 0)]
    data = b"".join(parts)
    return struct.pack("ii", 8 + len(data), 0) + data


def counter(name, labels="", value=1):
    return '["%s", "%s_total", {%s}, "Help."]' % (name, name, labels), value


def write(name, data, size=0):
    with open(os.path.join(DIRECTORY, name), "wb") as f:
        f.write(data)
        f.truncate(max(size, len(data)))


def links():
    secret = os.environ["SECRET"]
    os.symlink(secret, os.path.join(DIRECTORY, "counter_101.db"))
    os.mkfifo(os.path.join(DIRECTORY, "counter_102.db"))
    os.mkdir(os.path.join(DIRECTORY, "counter_103.db"))
    os.symlink("/dev/zero", os.path.join(DIRECTORY, "counter_104.db"))
    os.symlink("/proc/self/mem", os.path.join(DIRECTORY, "counter_105.db"))
    os.symlink(DIRECTORY, os.path.join(DIRECTORY, "counter_106.db"))


def nonsense():
    write("counter_w201.db", struct.pack("ii", 2**31 - 1, 0), 1 << 40)
    write("counter_w202.db", struct.pack("ii", -1, 0))
    write("counter_w203.db", struct.pack("ii", 16 << 20, 0), 16 << 20)
    write("counter_w204.db", struct.pack("iii", 40, 0, 2**31 - 1) + b"x" * 28)
    write("counter_w205.db", b"\0")
    write(
        "counter_w206.db",
        content(counter("indrik_forged"), counter("a\\n# TYPE forged counter\\nforged"), ('["[[[', 1)),
    )
    write("gauge_all_w207.db", content(('["twice_total", "twice_total", {}, "Help."]', 1)))
    write("counter_w208.db", content(counter("twice", value=7)))
    write(
        "histogram_w209.db",
        content(('["h", "h_bucket", {"le": "1"}, ""]', float("nan")), ('["h", "h_sum", {}, ""]', -5)),
    )


def flood():
    for process in range(3):
        keys = (counter("flood", '"n": "%d.%d"' % (process, n)) for n in range(20000))
        write("counter_w30%d.db" % process, content(*keys))
    for n in range(3000):
        write("summary_w4%d.db" % n, b"")


def lease():
    """Keeps whoever opens a file waiting, and does not let go."""
    import fcntl
    import signal

    signal.signal(signal.SIGIO, signal.SIG_IGN)
    write("counter_w501.db", content(counter("leased")))
    global held
    held = open(os.path.join(DIRECTORY, "counter_w501.db"))
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)


def unlink():
    for name in os.listdir(DIRECTORY):
        path = os.path.join(DIRECTORY, name)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)


def app(environ, start_response):
    path = environ["PATH_INFO"][1:]
    body = DIRECTORY
    if path in ("links", "nonsense", "flood", "lease", "unlink"):
        try:
            globals()[path]()
            body = "done"
        except OSError as e:
            body = str(e)
    elif path == "honest":
        write("counter_%d.db" % os.getpid(), content(counter("honest", value=3)))
    elif path == "user":
        body = str(os.geteuid())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
