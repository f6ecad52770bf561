"""Flask, as its own first page shows it, with JSON."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return {"message": "Hello, World!"}
