import os, sys


def tell(text):
    "Tells the master why the server cannot start, in a message that needs nothing but this."
    text = "".join(c if " " <= c <= "~" and c not in '"\\' else "\\u%04x" % min(ord(c), 0xFFFD) for c in text)
    try:
        os.write(3, ('{"type": "unfit", "error": "%s"}' % text).encode("ascii"))
    except (OSError, IOError):
        pass


if sys.version_info < (3, 8):
    tell("Indrik needs Python 3.8 or later, and %s is %s" % (sys.executable, sys.version.split()[0]))
    sys.exit(1)
if sys.path and sys.path[0] == "":
    del sys.path[0]


class Bundle:
    "Finds and loads the modules that the master handed over. As a context it makes imports find the standard library first: not a file of the app's, or of the current directory, that happens to have such a name."

    def __init__(self, fd):
        stdlib = os.path.dirname(os.__file__)
        try:
            here = os.getcwd()
        except OSError:
            here = None

        def rank(path):
            return not (
                path == stdlib
                or path.endswith(".zip")
                or (path.startswith(stdlib + os.sep) and "-packages" not in path)
            )

        self.path = sorted((p for p in sys.path if os.path.abspath(p) != here), key=rank)
        self.paths = []
        with self:
            from marshal import loads

            os.lseek(fd, 0, 0)
            with open(fd, "rb") as f:
                self.sources = loads(f.read())

    def __enter__(self):
        self.paths.append(sys.path)
        sys.path = self.path + [p for p in sys.path if p not in self.path]

    def __exit__(self, *exc_info):
        sys.path = self.paths.pop()

    def is_package(self, name):
        return any(other.startswith(name + ".") for other in self.sources)

    def filename(self, name):
        path = name.partition(".")[2].replace(".", "/")
        if self.is_package(name):
            path += "/__init__" if path else "__init__"
        return "<indrik>/%s.py" % path

    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            spec = type(sys.__spec__)(name, self, origin=self.filename(name), is_package=self.is_package(name))
            spec.has_location = True
            return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        code = compile(self.sources[module.__name__], self.filename(module.__name__), "exec", dont_inherit=True)
        with self:
            exec(code, module.__dict__)

    def get_source(self, name):
        return self.sources[name].decode()


try:
    sys.meta_path.insert(0, Bundle(4))
    # What site or an instrumentation has imported may be of another version.
    for name in [n for n in sys.modules if n.partition(".")[0] == "indrik"]:
        del sys.modules[name]
    sys.argv[:1] = [] if len(sys.argv) > 1 else ["indrik"]
    from indrik import spawner
except BaseException as e:
    tell("%s: %s" % (type(e).__name__, e))
    raise
spawner.main(3)
