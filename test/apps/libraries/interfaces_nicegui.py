"""NiceGUI, in an app of FastAPI."""

from fastapi import FastAPI
from nicegui import ui

app = FastAPI()


@ui.page("/")
def index():
    ui.label("said by NiceGUI")


ui.run_with(app, storage_secret="x")
