"""Forks as the query says, in a handler of Tornado."""

from tornado.web import Application, RequestHandler

from forking import run


class Handler(RequestHandler):
    def get(self):
        said = run(self.request.query)
        self.write("the child's" if said is None else said)


app = Application([("/", Handler)])
