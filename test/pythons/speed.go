package pythons

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoCompiler says that this machine cannot build an extension module for an interpreter.
var ErrNoCompiler = errors.New("needs a C compiler, and the headers of CPython 3.11 or later")

// BuildSpeed builds the module indrik_speed, of the given version of Indrik, into dir for an
// interpreter. root is the directory of the sources of Indrik.
func BuildSpeed(python, root, version, dir string, flags ...string) error {
	const program = `import os, sys, sysconfig
include = sysconfig.get_path("include")
fits = sys.implementation.name == "cpython" and sys.version_info >= (3, 11) and "free-threading" not in sys.version
print(include if fits and os.path.exists(os.path.join(include, "Python.h")) else "")`
	out, err := exec.Command(python, "-c", program).Output()
	include := strings.TrimSpace(string(out))
	if err != nil || include == "" {
		return ErrNoCompiler
	}
	args := append([]string{
		"-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
		"-Wno-missing-field-initializers", "-Wno-cast-function-type", "-Wno-deprecated-declarations",
		`-DVERSION="` + version + `"`, "-isystem", include, "-o", filepath.Join(dir, "indrik_speed.abi3.so"),
	}, flags...)
	return Compile(root, args, "speed/src/*.c")
}

// Compile has the C compiler make a program of the files that match the patterns, which are below
// root.
func Compile(root string, args []string, patterns ...string) error {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return ErrNoCompiler
	}
	for _, pattern := range patterns {
		sources, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(sources) == 0 {
			return fmt.Errorf("no sources %s: %w", pattern, err)
		}
		args = append(args, sources...)
	}
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
