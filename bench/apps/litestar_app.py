"""Litestar, as its own first page shows it, with JSON."""

from typing import Dict

from litestar import Litestar, get


@get("/")
async def hello() -> Dict[str, str]:
    return {"message": "Hello, World!"}


app = Litestar([hello])
