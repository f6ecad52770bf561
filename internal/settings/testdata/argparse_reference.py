"""What Python's own argparse and shlex make of the command lines on stdin.

Reads {"options": [...], "cases": [[word, ...], ...], "texts": [...]} and writes
{"cases": [...], "texts": [...]}.
"""

import argparse
import json
import re
import shlex
import sys


class Stop(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Stop("error", message)

    def print_help(self, file=None):
        raise Stop("help", "")

    def exit(self, status=0, message=None):
        raise Stop("version", "")

    def _get_option_tuples(self, option_string):
        # Options that were added make no abbreviation ambiguous.
        found = super()._get_option_tuples(option_string)
        theirs = [f for f in found if f[0].dest not in self.added]
        return theirs if len(theirs) == 1 else found

    def _print_message(self, message, file=None):
        pass


def auto_int(text):
    # What Gunicorn calls this type, and what it accepts.
    if re.match(r"0\d", text):
        text = "0o" + text[1:]
    return int(text, 0)


def count(text):
    return text if text == "auto" else int(text)


count.__name__ = "int"  # as the message calls it


class Shell(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        raise Stop("shell", values)


class All(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        raise Stop("all", "")


TYPES = {"str": str, "int": int, "mode": auto_int, "float": float, "count": count}


def build(options):
    parser = Parser(prog="indrik")
    parser.added = {o["name"] for o in options if o["added"]}
    parser.add_argument("-v", "--version", action="version", version="1", default=argparse.SUPPRESS)
    parser.add_argument("args", nargs="*")
    for o in options:
        kwargs = {"dest": o["name"], "default": None}
        if o["type"] == "true":
            kwargs["action"] = "store_true"
        elif o["type"] == "false":
            kwargs.update(action="store_const", const=False)
        elif o["type"] == "all":
            kwargs.update(action=All, nargs=0)
        elif o["type"] == "shell":
            kwargs.update(action=Shell, choices=["bash", "zsh", "fish"])
        elif o["type"] == "list":
            kwargs["action"] = "append"
        else:
            kwargs["type"] = TYPES[o["type"]]
        if o["bare"]:
            kwargs.update(nargs="?", const=o["bare"])
        parser.add_argument(*o["flags"], **kwargs)
    return parser


def run(parser, words):
    try:
        got = vars(parser.parse_args(words))
    except Stop as stop:
        kind, text = stop.args
        return {kind: text}
    args = got.pop("args")
    return {"values": {k: v for k, v in got.items() if v is not None}, "app": args[0] if args else ""}


def split(text):
    try:
        return {"words": shlex.split(text)}
    except ValueError as e:
        return {"error": str(e)}


job = json.load(sys.stdin)
parser = build(job["options"])
json.dump(
    {
        "cases": [run(parser, words) for words in job["cases"]],
        "texts": [split(text) for text in job["texts"] or ()],
    },
    sys.stdout,
)
