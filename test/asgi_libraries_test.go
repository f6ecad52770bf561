//go:build linux

package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// Apps made with libraries that are written for uvicorn behave as they do there: each
// app of apps/libraries is served by both, asked the same things by drive.py, and what
// it answers is compared. The packages are those of requirements-all.txt.

// venvAll is venv for what `make venv-all` makes.
func venvAll(t testing.TB) string {
	t.Helper()
	harness.NeedsAll(t)
	dir := filepath.Join(harness.Repository, ".cache", "venv-all")
	want, err := os.ReadFile("requirements-all.txt")
	harness.Must(t, err)
	have, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if err != nil || !bytes.Equal(have, want) {
		t.Skip("run `make venv-all` first")
	}
	return filepath.Join(dir, "bin", "python")
}

func TestAllASGILibraries(t *testing.T) {
	python := venvAll(t)
	for _, tt := range []struct {
		app     string   // module of apps/libraries
		drive   string   // function of drive.py; the module's name if empty
		indrik  []string // options
		uvicorn []string // options of uvicorn
	}{
		{app: "middleware"},
		{app: "leaving"},
		{app: "proxied", indrik: []string{"--root-path", "/api"}, uvicorn: []string{"--root-path", "/api"}},
		{app: "admin"},
		{app: "talking"},
		// With more workers than one a session has to stay with its own.
		{app: "talking", indrik: []string{"-w", "3", "--worker-affinity", "cookie"}},
		{app: "talking", indrik: []string{"-w", "3", "--worker-affinity", "address"}},
		{app: "toolbox"},
		{app: "toolbox", indrik: []string{"-w", "3", "--worker-affinity", "cookie"}},
		{app: "subscribing"},
		{app: "channelling"},
		{app: "interfaces_gradio", drive: "gradio"},
		{app: "interfaces_gradio", drive: "gradio", indrik: []string{"-w", "2", "--worker-affinity", "address"}},
		{app: "interfaces_nicegui", drive: "nicegui"},
		{app: "interfaces_marimo", drive: "marimo"},
	} {
		t.Run(strings.Join(append([]string{tt.app}, tt.indrik...), " "), func(t *testing.T) {
			t.Parallel()
			if tt.drive == "" {
				tt.drive = tt.app
			}
			spec := "libraries." + tt.app + ":app"
			reference := startUvicorn(t, python, spec, tt.uvicorn)
			s := harness.Launch(t, harness.Options{
				App: spec, Python: python, MayLeave: true,
				Args: append([]string{"--timeout", "120", "--graceful-timeout", "5"}, tt.indrik...),
			})
			awaitPort(t, s.Address)
			want := drive(t, python, tt.drive, "http://"+reference)
			got := drive(t, python, tt.drive, "http://"+s.Address)
			// The same URL in what they answer.
			got = strings.ReplaceAll(got, s.Address, reference)
			if got != want {
				t.Errorf("%s", difference(want, got))
			}
			began := time.Now()
			s.Terminate()
			if d := time.Since(began); d > 25*time.Second {
				t.Errorf("the end took %s", d)
			}
		})
	}
}

// startUvicorn serves an app, and returns the address.
func startUvicorn(t *testing.T, python, spec string, args []string) string {
	t.Helper()
	port := harness.FreePort(t)
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	dir := harness.TempDir(t)
	cmd := exec.Command(python, append([]string{"-m", "uvicorn", "--port", fmt.Sprint(port), spec}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8", "TMPDIR=" + dir, "PYTHONDONTWRITEBYTECODE=1",
		"PYTHONPATH=" + filepath.Join(harness.Repository, "test", "apps"),
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	harness.Must(t, cmd.Start())
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			t.Logf("uvicorn says:\n%s", out.String())
		}
	})
	awaitPort(t, addr)
	return addr
}

// awaitPort waits until somebody answers there, which for some of these apps takes long.
func awaitPort(t *testing.T, addr string) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			continue
		}
		c.SetDeadline(end)
		fmt.Fprintf(c, "GET /nowhere-yet HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(c)
		c.Close()
		if len(answer) > 0 {
			return
		}
	}
	t.Fatalf("nobody answers at %s", addr)
}

// drive returns what drive.py prints.
func drive(t *testing.T, python, name, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, filepath.Join(harness.Repository, "test", "apps", "libraries", "drive.py"), name, url)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(harness.Repository, "test", "apps"), "PYTHONDONTWRITEBYTECODE=1")
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		t.Errorf("%s of %s: %v\n%s", name, url, err, errors.String())
	}
	return out.String()
}

// difference shows the lines that differ.
func difference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	var lines []string
	for i := range max(len(a), len(b)) {
		var w, g string
		if i < len(a) {
			w = a[i]
		}
		if i < len(b) {
			g = b[i]
		}
		if w != g {
			lines = append(lines, "uvicorn: "+w, "indrik:  "+g)
		}
	}
	return fmt.Sprintf("%d lines differ:\n%s", len(lines)/2, strings.Join(lines[:min(len(lines), 40)], "\n"))
}
