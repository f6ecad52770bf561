//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestAllTypes: a type checker knows what hooks get, what apps may ask, and which settings
// there are, of the installed package.
func TestAllTypes(t *testing.T) {
	t.Parallel()
	file := wheel(t)
	mypy := filepath.Join(harness.Repository, ".cache", "venv-tools", "bin", "mypy")
	if _, err := os.Stat(mypy); err != nil {
		t.Skip("needs make venv-tools")
	}
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	pip(t, env, file)
	check := func(source string) string {
		t.Helper()
		dir := harness.TempDir(t)
		harness.Must(t, os.WriteFile(filepath.Join(dir, "source.py"), []byte(source), 0o644))
		cmd := exec.Command(mypy, "--strict", "--python-executable", filepath.Join(env, "bin", "python"), "--cache-dir", dir, "source.py")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	good := `from typing import Any, Dict, Optional

import indrik
from indrik.types import Request, Response, Server, Worker

workers = 2


def post_fork(server: Server, worker: Worker) -> None:
    server.log.info("worker %s of %s", worker.pid, server.cfg.workers)


def pre_request(worker: Worker, req: Request) -> None:
    req.headers.append(("X-Path", req.path))


def post_request(worker: Worker, req: Request, environ: Dict[str, Any], resp: Response) -> None:
    if resp.status_code == 500:
        worker.log.error("%s %s", req.method, req.path)


def nworkers_changed(server: Server, new: int, old: Optional[int]) -> None:
    server.kill_worker(next(iter(server.WORKERS)), 15)


def app(environ: Dict[str, Any], start_response: Any) -> Any:
    left = indrik.deadline(environ)
    if left is not None and indrik.disconnected(environ):
        indrik.extend_deadline(environ, 5)
    return []


if __name__ == "__main__":
    indrik.run("source:app", port=8000, workers="auto", raw_env=["A=1"], reload=True)
`
	if out := check(good); !strings.Contains(out, "Success") {
		t.Error(out)
	}
	for call, want := range map[string]string{
		`indrik.run("a:app", wrokers=2)`:        `did you mean "workers"`,
		`indrik.run("a:app", workers=object())`: `Argument "workers"`,
		`indrik.deadline(5)`:                    `Argument 1 to "deadline"`,
		`indrik.nothing`:                        `error: `,
	} {
		if out := check("import indrik\n\n" + call + "\n"); !strings.Contains(out, want) {
			t.Errorf("%s: %s", call, out)
		}
	}
}
