"""The build hook of the wheel: compiles the module.

INDRIK_SPEED_WHEEL names the platform as GOOS/GOARCH; then Zig's compiler, of the package
ziglang, makes what runs with every C library of that platform. By default it is this machine
and interpreter, with the compiler that Python was built with, or $CC.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The target of Zig's, and the platform tags. Nothing is linked: the few functions of C that
# the module calls are in the process that loads it, whichever library they are of.
TARGETS = {
    "linux/amd64": ("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64"),
    "linux/arm64": ("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64"),
}

FLAGS = ["-O2", "-fPIC", "-fvisibility=hidden", "-std=gnu11", "-DNDEBUG"]


class BuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        build_data["pure_python"] = False
        target = os.environ.get("INDRIK_SPEED_WHEEL")
        if not target and ("free-threading" in sys.version or sys.implementation.name != "cpython"):
            build_data["infer_tag"] = True  # there is nothing for it: the server does without
            return
        self._directory = tempfile.TemporaryDirectory()
        module = Path(self._directory.name) / "indrik_speed.abi3.so"
        if target:
            if target not in TARGETS:
                raise SystemExit("no wheel for %r: the platforms are %s" % (target, ", ".join(sorted(TARGETS))))
            zig, platform = TARGETS[target]
            self._cross_compile(zig, module)
        else:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            self._compile(module)
        build_data["tag"] = "cp311-abi3-" + platform
        build_data["force_include"][str(module)] = module.name

    def finalize(self, version, build_data, artifact_path):
        if hasattr(self, "_directory"):
            self._directory.cleanup()

    def _sources(self):
        return [str(path) for path in sorted(Path(self.root, "src").glob("*.c"))]

    def _headers(self):
        include = sysconfig.get_path("include")
        if not Path(include, "Python.h").exists():
            raise SystemExit("the headers of Python are missing: there is no %s/Python.h" % include)
        return include

    def _compile(self, module):
        link = shlex.split(os.environ.get("LDSHARED") or sysconfig.get_config_var("LDSHARED") or "cc -shared")
        if os.environ.get("CC"):
            link[:1] = shlex.split(os.environ["CC"])
        self._run([*link, *FLAGS, "-I", self._headers(), *self._sources(), "-o", str(module)])

    def _cross_compile(self, target, module):
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", target]
        # Nothing of this machine is to be in the objects.
        flags = [*FLAGS, "-g0", "-fno-sanitize=undefined", "-fno-stack-protector", "-ffile-prefix-map=%s=." % self.root]
        objects = []
        for source in self._sources():
            objects.append(str(Path(self._directory.name, Path(source).stem + ".o")))
            self._run([*zig, *flags, "-isystem", self._headers(), "-c", source, "-o", objects[-1]])
        self._run([*zig, "-shared", "-nostdlib", "-Wl,--build-id=none", "-s", *objects, "-o", str(module)])

    def _run(self, command):
        cache = self._directory.name
        env = dict(
            os.environ, ZIG_LOCAL_CACHE_DIR=cache, ZIG_GLOBAL_CACHE_DIR=os.environ.get("ZIG_GLOBAL_CACHE_DIR", cache)
        )
        try:
            done = subprocess.run(command, env=env)
        except FileNotFoundError:
            raise SystemExit("indrik-speed takes a C compiler, and there is no program %r" % command[0]) from None
        if done.returncode:
            raise SystemExit("%s has failed" % shlex.join(command))
