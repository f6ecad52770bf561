"""What Gunicorn's tests call as docker: it starts no containers, but gives each a pid namespace
of its own (unshare(1)), so that ps and pgrep see only its processes.

DOCKER_DIR is the directory in which commands run; its bin is first on their PATH. It has, for a
container, NAME.pid with the number of its first process outside of it, and NAME.log.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time

DIR = os.environ["DOCKER_DIR"]

# Of the containers that compose starts there is one.
COMPOSED = "composed"


def path(name):
    return os.path.join(DIR, name)


def environment():
    found = dict(os.environ, PATH=path("bin") + os.pathsep + os.environ["PATH"])
    found.pop("COLUMNS", None)  # to which ps cuts titles
    return found


def run(name, command):
    with open(path(name + ".log"), "wb") as log:
        unshare = subprocess.Popen(
            ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", *command],
            cwd=DIR,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    children = "/proc/%d/task/%d/children" % (unshare.pid, unshare.pid)
    while unshare.poll() is None:
        with open(children) as f:
            first = f.read().split()
        if first:
            with open(path(name + ".pid"), "w") as f:
                f.write(first[0])
            return 0
        time.sleep(0.01)
    return 1


def execute(name, command):
    with open(path(name + ".pid")) as f:
        first = f.read()
    # What it leaves running must not keep the output open for the caller.
    with tempfile.TemporaryFile() as out:
        done = subprocess.run(
            ["nsenter", "--target", first, "--pid", "--mount", "--wdns=" + DIR, *command],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        out.seek(0)
        text = out.read()
    # Gunicorn's tests tell its processes by these titles.
    sys.stdout.buffer.write(text.replace(b"indrik: ", b"gunicorn: "))
    return done.returncode


def remove(name):
    try:
        with open(path(name + ".pid")) as f:
            first = int(f.read())
        os.kill(first, signal.SIGKILL)  # and with it all of its namespace
    except (FileNotFoundError, ProcessLookupError):
        return 0
    while os.path.exists("/proc/%d" % first):
        time.sleep(0.01)
    os.unlink(path(name + ".pid"))
    return 0


def logs(name):
    with open(path(name + ".log"), "rb") as f:
        sys.stdout.buffer.write(f.read())
    return 0


def main(words):
    if words[:2] == ["compose", "-f"]:
        command = words[3]
        if command == "up":
            return run(COMPOSED, ["sh", "-c", "gunicorn -c gunicorn_conf.py app:app & while true; do sleep 1; done"])
        if command == "exec":
            return execute(COMPOSED, words[words.index("gunicorn") + 1 :])
        return {"logs": logs, "down": remove}[command](COMPOSED)
    if words[0] in ("info", "compose"):
        return 0
    if words[0] == "rm":
        return remove(words[-1])
    if words[0] == "run":
        return run(words[words.index("--name") + 1], words[words.index("sh") :])
    if words[0] == "exec":
        return execute(words[1], words[2:])
    if words[0] == "logs":
        return logs(words[1])
    raise SystemExit("docker: %r" % words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
