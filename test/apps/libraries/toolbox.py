"""A server of the Model Context Protocol, with sessions in memory."""

from libraries.toolboxes import make

app = make()
