"""The build hook of the wheel: compiles the server with Go and adds it as a script.

A wheel is for one platform and for every Python 3. INDRIK_WHEEL names the platform as
GOOS/GOARCH, or GOOS/GOARCH/GOARM for 32-bit ARM; by default it is the one of this
machine. See make dist, which builds all of them.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from shutil import which

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The platform tags of each target. The binary is static, so that it runs with every C
# library; the manylinux and musllinux versions are the oldest that pip knows for the
# architecture. macOS: the oldest release that Go 1.26 supports.
TAGS = {
    "linux/amd64": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    "linux/arm64": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    "linux/arm/7": "manylinux_2_17_armv7l.manylinux2014_armv7l.musllinux_1_1_armv7l",
    "linux/ppc64le": "manylinux_2_17_ppc64le.manylinux2014_ppc64le.musllinux_1_1_ppc64le",
    "linux/s390x": "manylinux_2_17_s390x.manylinux2014_s390x.musllinux_1_1_s390x",
    "linux/386": "manylinux_2_17_i686.manylinux2014_i686.musllinux_1_1_i686",
    "darwin/amd64": "macosx_12_0_x86_64",
    "darwin/arm64": "macosx_12_0_arm64",
}


class BuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version, build_data):
        if version == "editable":
            raise SystemExit("an editable install has no binary: use pip install ., or make build and bin/indrik")
        target = os.environ.get("INDRIK_WHEEL") or self._go("env", "GOOS") + "/" + self._go("env", "GOARCH")
        if target == "linux/arm":
            target += "/7"
        if target not in TAGS:
            raise SystemExit("no wheel for %r: the platforms are %s" % (target, ", ".join(sorted(TAGS))))
        self._directory = tempfile.TemporaryDirectory()
        binary = Path(self._directory.name) / "indrik"
        self._compile(target, binary)
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + TAGS[target]
        build_data["shared_scripts"][str(binary)] = "indrik"

    def finalize(self, version, build_data, artifact_path):
        self._directory.cleanup()

    def _compile(self, target, binary):
        system, architecture, *arm = target.split("/")
        env = dict(os.environ, CGO_ENABLED="0", GOOS=system, GOARCH=architecture)
        if arm:
            env["GOARM"] = arm[0]
        self._go("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", str(binary), "./cmd/indrik", env=env)

    def _go(self, *args, env=None):
        go = which("go")
        if go is None:
            raise SystemExit(
                "Indrik is built with Go 1.26 or later, and there is no program `go` on the PATH. "
                "There are wheels that need no Go: pip install indrik"
            )
        done = subprocess.run([go, *args], cwd=self.root, env=env, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit("go %s failed" % args[0])
        return done.stdout.strip()
