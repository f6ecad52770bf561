import sys
if sys.version_info < (3, 8):
    sys.exit("Error: Indrik needs Python 3.8 or later, and %s is %s" % (sys.executable, sys.version.split()[0]))
import marshal, os
class Bundle:
    "Finds and loads the modules that the master handed over."
    def __init__(self, fd):
        os.lseek(fd, 0, 0)
        with open(fd, "rb") as f:
            self.sources = marshal.loads(f.read())
    def filename(self, name):
        return "<indrik>/%s.py" % (name.partition(".")[2] or "__init__")
    def find_spec(self, name, path=None, target=None):
        if name in self.sources:
            spec = type(sys.__spec__)(name, self, origin=self.filename(name), is_package=name == "indrik")
            spec.has_location = True
            return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(self.sources[module.__name__], self.filename(module.__name__), "exec", dont_inherit=True), module.__dict__)
    def get_source(self, name):
        return self.sources[name].decode()
sys.meta_path.insert(0, Bundle(4))
sys.argv[:1] = [] if len(sys.argv) > 1 else ["indrik"]
from indrik import spawner
spawner.main(3)
