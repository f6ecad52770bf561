"""Starts the server from Python: python -m indrik, and indrik.run().

Both replace the running program by the server (execve(2)), which keeps its process id: a
service manager or a container sees one process from beginning to end, and signals reach
the server itself.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Sequence, Tuple

    from typing_extensions import Unpack

    from .settingtypes import Settings

# Names of uvicorn's, and the settings that they mean. _bind and run handle host, port, uds
# and factory.
_ALIASES = {
    "log_level": "loglevel",
    "app_dir": "pythonpath",
    "ssl_certfile": "certfile",
    "ssl_keyfile": "keyfile",
    "ssl_ca_certs": "ca_certs",
}


class LaunchError(RuntimeError):
    """The server cannot be started. The text says why, and what to do."""


def find_binary() -> str:
    """Returns the path of the program indrik that was installed with this package."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    schemes = [sysconfig.get_path("scripts")]
    user = "%s_user" % os.name
    if user in sysconfig.get_scheme_names():
        schemes.append(sysconfig.get_path("scripts", user))
    schemes += [
        os.path.dirname(sys.executable),  # the environment is another's, such as pipx's
        os.path.join(here, "bin"),  # pip install --target
        os.path.join(os.path.dirname(here), "bin"),  # of a tree: make build
    ]
    for directory in schemes:
        path = os.path.join(directory, "indrik")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    raise LaunchError(
        "the program indrik is not where pip puts it (%s). Install it with: %s -m pip install --force-reinstall indrik"
        % (schemes[0], sys.executable)
    )


def start(arguments: Sequence[str], settings: Optional[Dict[str, str]] = None) -> NoReturn:
    """Replaces this program by the server. settings are environment variables."""
    binary = find_binary()
    environment = dict(os.environ, INDRIK_PYTHON=sys.executable)
    environment.update(settings or {})
    sys.stdout.flush()
    sys.stderr.flush()
    # By its path, by which an upgrade finds it again.
    os.execve(binary, [binary, *arguments], environment)


def run(
    app: Any,
    *,
    host: Optional[str] = None,
    port: Optional[int] = None,
    uds: Optional[str] = None,
    factory: bool = False,
    **settings: Unpack[Settings],
) -> NoReturn:
    """Serves app, and does not return: the server takes the place of this program.

    app is "module:name", or an object that a global name of the program holds. Settings
    have the names that they have in a config file (docs/settings.md); they go before those
    of a config file. Hooks are functions, which only a config file can hold: name it by
    config="indrik.conf.py". host, port and uds are other words for bind.

    Raises TypeError for a setting that does not exist or a value that is none, and
    LaunchError where the server cannot be started.
    """
    if "indrik.spawner" in sys.modules:
        raise LaunchError(
            "indrik.run() was called by the app while the server imports it: put the call under "
            '`if __name__ == "__main__":`'
        )
    name, directories = _locate(app)
    if factory:
        name += "()"
    values: Dict[str, Any] = {_ALIASES.get(key, key): value for key, value in settings.items() if value is not None}
    bind = _bind(host, port, uds)
    if bind:
        if "bind" in values:
            raise TypeError("indrik.run() got bind beside host, port or uds, which are other words for it")
        values["bind"] = bind
    if directories:
        given = values.get("pythonpath")
        values["pythonpath"] = ",".join(([given] if given else []) + directories)
    start([name], _variables(values))


def _bind(host: Optional[str], port: Optional[int], uds: Optional[str]) -> str:
    if uds:
        if host or port:
            raise TypeError("indrik.run() got uds beside host or port: an address is one or the other")
        return "unix:" + uds
    if host is None and port is None:
        return ""
    host = host or "127.0.0.1"
    return "%s:%d" % ("[%s]" % host if ":" in host else host, 8000 if port is None else port)


def _locate(app: Any) -> Tuple[str, List[str]]:
    """Returns the name of the app, and the directories to import it from besides the
    current one."""
    main = sys.modules["__main__"]
    directories = []
    script = getattr(main, "__file__", None)
    spec = getattr(main, "__spec__", None)
    if script and spec is None:  # python app.py: its directory is on the path
        directory = os.path.dirname(os.path.abspath(script))
        if directory != os.getcwd():
            directories.append(directory)
    if isinstance(app, str):
        return app, directories
    for name, value in vars(main).items():
        if value is app and name.isidentifier() and not name.startswith("__"):
            break
    else:
        raise TypeError(
            'indrik.run() takes "module:name", or an object that a global name of the program holds; %r is neither'
            % (app,)
        )
    if spec is not None:
        module = spec.name[: -len(".__main__")] + ".__main__" if spec.name.endswith(".__main__") else spec.name
    elif script:
        module = os.path.splitext(os.path.basename(script))[0]
        if not module.isidentifier():
            raise TypeError(
                '%s cannot be imported under that name: give the app to indrik.run() as "module:name"' % script
            )
    else:
        raise TypeError('indrik.run() was called in a session without a file: give it the app as "module:name"')
    return "%s:%s" % (module, name), directories


def _variables(values: Dict[str, Any]) -> Dict[str, str]:
    """Returns settings as environment variables (docs/configuration.md)."""
    from .settingtypes import HOOKS, Settings

    known = Settings.__annotations__
    variables = {}
    for name, value in values.items():
        if name in HOOKS:
            raise TypeError(
                "indrik.run() cannot pass on %s: hooks belong into a config file; name it by config=" % name
            )
        if name not in known:
            raise TypeError("indrik.run() got %s, which is no setting%s" % (name, _suggestion(name, known)))
        variables["INDRIK_" + name.upper()] = _text(name, value)
    return variables


def _suggestion(name: str, known: Dict[str, Any]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return ": did you mean %s?" % near[0] if near else ". docs/settings.md lists them all"


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float, os.PathLike)):
        return str(value)
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, os.PathLike)) for item in value):
        items = [str(item) for item in value]
        return json.dumps(items) if any("," in item for item in items) else ",".join(items)
    raise TypeError("indrik.run() cannot pass on %s = %r: name a config file that says so by config=" % (name, value))
