// Package pythons finds the interpreters of this machine that tests run.
package pythons

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Find returns the path of the interpreter of a version, such as "3.8", "3.14t" or
// "pypy3"; "" if it is neither among those of pyenv nor on PATH.
func Find(version string) string {
	command := "python" + version
	if strings.HasPrefix(version, "pypy") {
		command = version
	}
	root := os.Getenv("PYENV_ROOT")
	if root == "" {
		home, _ := os.UserHomeDir()
		root = filepath.Join(home, ".pyenv")
	}
	candidates, _ := filepath.Glob(filepath.Join(root, "versions", strings.TrimSuffix(version, "3")+"*", "bin", command))
	if path, err := exec.LookPath(command); err == nil {
		candidates = append(candidates, path)
	}
	for _, path := range candidates {
		// A version manager's wrapper is on PATH even if the version is not there.
		out, err := exec.Command(path, "-c", "import sys; print(sys.executable)").Output()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	return ""
}
