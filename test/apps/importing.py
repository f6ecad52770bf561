"""Waits at the gate "import" while it is imported, then answers as gated does."""

import gate

gate.wait("import")

from gated import app  # noqa: F401
