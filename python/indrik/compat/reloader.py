"""gunicorn.reloader. The master watches the files, see the setting reload; these are types
that hooks mention."""

from __future__ import annotations

from .hints import elsewhere

Reloader = elsewhere("gunicorn.reloader.Reloader", "the master watches the files: see the setting reload")
InotifyReloader = ReloaderBase = Reloader

preferred_reloader = Reloader
reloader_engines = {"auto": Reloader, "poll": Reloader, "inotify": Reloader}
