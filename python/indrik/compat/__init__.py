"""Gunicorn's modules, for what config files, apps and programs import of them.

In the server's processes `import gunicorn.glogging` finds indrik.glogging, and so on: finder.py
has the table. What other projects import was counted, see docs/gunicorn-imports.md; the rest
answers with the change to make.
"""
