"""An iterable that tells when it is closed, in each way that a response can end."""


class Parts:
    def __init__(self, path, errors):
        self.path, self.errors = path, errors
        self.parts = [b"x" * 1000] * 3

    def __iter__(self):
        return self

    def __next__(self):
        if self.path == "/fails-at-once" or (self.path == "/fails-later" and len(self.parts) == 1):
            raise ValueError("no more parts")
        if self.path == "/endless":
            return b"x" * 65536
        if not self.parts:
            raise StopIteration
        return self.parts.pop()

    def close(self):
        self.errors.write("close of %s\n" % self.path)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Parts(environ["PATH_INFO"], environ["wsgi.errors"])
