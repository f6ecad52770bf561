"""A notebook of marimo, served as an app."""

import os

import marimo

NOTEBOOK = """import marimo

app = marimo.App()


@app.cell
def _():
    said = "said by marimo"
    said
    return (said,)


if __name__ == "__main__":
    app.run()
"""

path = os.path.join(os.environ["TMPDIR"], "notebook.py")
with open(path, "w") as f:
    f.write(NOTEBOOK)
app = marimo.create_asgi_app().with_app(path="/", root=path).build()
