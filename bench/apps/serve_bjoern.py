"""bjoern, which has no processes of its own: HOST PORT WORKERS MODULE."""

import importlib
import os
import signal
import sys

import bjoern

host, port, workers, module = sys.argv[1:]
sys.path.insert(0, os.getcwd())
app = importlib.import_module(module).app
bjoern.listen(app, host, int(port))
children = []
for _ in range(int(workers)):
    child = os.fork()
    if child == 0:
        bjoern.run()
        os._exit(0)
    children.append(child)


def stop(number, frame):
    for child in children:
        os.kill(child, signal.SIGTERM)


signal.signal(signal.SIGTERM, stop)
for child in children:
    os.waitpid(child, 0)
