"""What a checker of types is shown: a config file, an app and a script in one."""

from typing import Any, AsyncIterator, Dict, Iterator, List, Optional

import indrik
from indrik import pools
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


class Model(pools.DirtyApp):
    workers = 2
    stashes = ["answers"]

    def init(self) -> None:
        self.words: List[str] = []

    async def close(self) -> None:
        self.words.clear()

    def predict(self, text: str) -> Dict[str, float]:
        return {text: 0.5}

    def generate(self, text: str) -> Iterator[str]:
        yield from () if pools.cancelled() else text.split()


async def asked(text: str) -> AsyncIterator[str]:
    client = await pools.get_dirty_client_async(timeout=5)
    try:
        await client.execute_async("source:Model", "predict", text)
        async with client.stream_async("source:Model", "generate", text) as parts:
            async for part in parts:
                yield str(part)
    except pools.DirtyAppError as e:
        yield "%s %s" % (e.message, e.traceback)


def remembered(text: str) -> Any:
    with pools.stream("source:Model", "generate", text) as parts:
        for part in parts:
            pools.stash.put("answers", text, part)
    table = pools.stash.table("answers")
    return [table[text], table.get("none", 1), pools.execute("source:Model", "predict", text, top=3)]


if __name__ == "__main__":
    indrik.run("source:app", port=8000, workers="auto", raw_env=["A=1"], reload=True)
