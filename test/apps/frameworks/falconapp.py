import hashlib
from functools import partial

import falcon

import gate


class Index:
    def on_get(self, req, resp):
        resp.content_type = "text/plain"
        resp.text = "%s %s\n" % (req.method, req.netloc)


class Hash:
    def on_post(self, req, resp):
        for part in req.get_media():
            if part.name == "file":
                digest, length = hashlib.sha256(), 0
                for chunk in iter(partial(part.stream.read, 1 << 16), b""):
                    digest.update(chunk)
                    length += len(chunk)
                resp.text = "%d %s" % (length, digest.hexdigest())


class Stream:
    def on_get(self, req, resp):
        def parts():
            yield b"one\n"
            gate.wait("stream")
            yield b"two\n"

        resp.content_type = "text/plain"
        resp.stream = parts()


class Visits:
    def on_get(self, req, resp):
        n = int(req.cookies.get("visits", 0)) + 1
        resp.set_cookie("visits", str(n), secure=False)
        resp.text = str(n)


class Error:
    def on_get(self, req, resp):
        raise RuntimeError("an error on purpose")


class Item:
    def on_put(self, req, resp, name):
        resp.media = {"name": name, "got": req.get_media(), "query": req.get_param_as_list("q")}
        resp.status = falcon.HTTP_201


app = falcon.App()
app.add_route("/", Index())
app.add_route("/hash", Hash())
app.add_route("/stream", Stream())
app.add_route("/visits", Visits())
app.add_route("/error", Error())
app.add_route("/items/{name}", Item())
