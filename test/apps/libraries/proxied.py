"""FastAPI below a path, as its documentation has it for a proxy in front."""

import os

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles

app = FastAPI()
sub = FastAPI()


@app.get("/app")
def read_main(request: Request):
    return {
        "root_path": request.scope.get("root_path"),
        "url": str(request.url),
        "for": str(request.url_for("read_main")),
    }


@app.get("/who")
def who(request: Request):
    return {"client": request.client.host if request.client else None, "scheme": request.url.scheme}


@sub.get("/sub")
def read_sub(request: Request):
    return {"root_path": request.scope.get("root_path"), "url": str(request.url)}


app.mount("/subapi", sub)
app.mount("/static", StaticFiles(directory=os.path.dirname(__file__)), name="static")
