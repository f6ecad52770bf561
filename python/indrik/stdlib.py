"""Modules of the standard library that are imported late, since few need them and
they cost milliseconds: never a file of the app's that has the name of one."""

import importlib

_own = __spec__.loader  # see bootstrap.py


def load(name):
    if not hasattr(_own, "__enter__"):
        return importlib.import_module(name)  # from files, as in the tests
    with _own:
        return importlib.import_module(name)
