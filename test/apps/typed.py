"""What a checker of types is shown: a config file, an app and a script in one."""

from typing import Any, Dict, Optional

import indrik
from indrik.types import Request, Response, Server, Worker

workers = 2


def post_fork(server: Server, worker: Worker) -> None:
    server.log.info("worker %s of %s", worker.pid, server.cfg.workers)


def pre_request(worker: Worker, req: Request) -> None:
    req.headers.append(("X-Path", req.path))


def post_request(worker: Worker, req: Request, environ: Dict[str, Any], resp: Response) -> None:
    if resp.status_code == 500:
        worker.log.error("%s %s", req.method, req.path)


def nworkers_changed(server: Server, new: int, old: Optional[int]) -> None:
    server.kill_worker(next(iter(server.WORKERS)), 15)


def app(environ: Dict[str, Any], start_response: Any) -> Any:
    left = indrik.deadline(environ)
    if left is not None and indrik.disconnected(environ):
        indrik.extend_deadline(environ, 5)
    return []


if __name__ == "__main__":
    indrik.run("source:app", port=8000, workers="auto", raw_env=["A=1"], reload=True)
