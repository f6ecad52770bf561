"""FastPySGI: HOST PORT WORKERS MODULE."""

import importlib
import os
import signal
import sys

import fastpysgi

host, port, workers, module = sys.argv[1:]
sys.path.insert(0, os.getcwd())
# It ends its workers on SIGINT alone.
signal.signal(signal.SIGTERM, signal.default_int_handler)
fastpysgi.run(importlib.import_module(module).app, host, int(port), workers=int(workers))
