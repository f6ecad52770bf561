"""Apps of every form that the command line can name."""


def answer(text):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]

    return app


application = answer("application")
nothing = None
number = 5


def factory(*args, **kwargs):
    return answer("factory %r %r" % (args, sorted(kwargs.items())))


def one_argument(x):
    return answer("one")
