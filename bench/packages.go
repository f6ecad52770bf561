package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"indrik/bench/serve"
)

// requirement is a package of PyPI at the version that is measured.
type requirement struct{ name, version string }

// requirements are installed one by one, so that one that cannot be built does
// not keep the others away. Gunicorn uses gunicorn_h1c, its parser in C,
// wherever that is installed, and speaks HTTP/2 with h2; hypercorn brings that
// along. Servers of asyncio use uvloop, uvicorn also httptools and websockets.
var requirements = []requirement{
	{"gunicorn", "27.0.1"},
	{"gunicorn_h1c", "0.6.10"},
	{"packaging", "26.4"}, // of Gunicorn's worker class gevent
	{"gevent", "26.9.0"},
	{"uvloop", "0.23.0"},
	{"httptools", "0.9.0"},
	{"websockets", "17.4"},
	{"uvicorn", "0.54.0"},
	{"hypercorn", "0.18.0"},
	{"granian", "2.8.7"},
	{"h2corn", "2.0.0"},
	{"peregrine-server", "1.2.0"},
	{"m0serve", "1.16.0"},
	{"uWSGI", "2.0.31"},
	{"waitress", "3.0.2"},
	{"bjoern-binary", "3.2.2"},
	{"fastpysgi", "0.6"},
	{"flask", "3.1.3"},
	{"django", "5.2.19"},
	{"fastapi", "0.165.0"},
	{"litestar", "2.25.0"},
	{"tornado", "6.6.1"}, // of Indrik's worker class tornado
}

// appNeeds are the packages that apps need, by their modules.
var appNeeds = map[string]string{"flask_app": "flask", "django_app": "django", "fastapi_app": "fastapi", "litestar_app": "litestar"}

// speedPackage is Indrik's own, of the directory -speed.
const speedPackage = "indrik-speed"

// installTimeout bounds one package: uWSGI compiles for half a minute.
const installTimeout = 3 * time.Minute

// environment is where servers run.
type environment struct {
	bin      string // of the virtual environment
	home     string
	apps     string
	indrik   string
	file     string // that apps send
	calls    string // a file where an app notes what was called
	certFile string // of a certificate of the bench's own, and its key
	keyFile  string
	versions map[string]string // of Python and the packages that are there
	absent   map[string]string // package: why it is not
}

func (e *environment) python() string { return filepath.Join(e.bin, "python") }

// lacks reports whether a package that is asked for is not there.
func (e *environment) lacks(name string) bool { return e.absent[name] != "" }

// vars is all that a server finds in its environment: nothing that was set for
// the shell of whoever runs the bench changes a figure. HOME is one of its own,
// because Gunicorn keeps a control socket there.
func (e *environment) vars() []string {
	return []string{
		"PATH=" + e.bin + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin",
		"HOME=" + e.home,
		"LANG=C.UTF-8",
		"PYTHONDONTWRITEBYTECODE=1",
		"INDRIK_PYTHON=" + e.python(),
		"BENCH_FILE=" + e.file,
		"BENCH_CALLS=" + e.calls,
	}
}

// install makes the virtual environment, or completes it with those of packages that it
// lacks.
func install(ctx context.Context, o options, packages []requirement) (*environment, error) {
	if info, err := os.Stat(o.Indrik); err != nil || info.IsDir() {
		return nil, fmt.Errorf("no program %s: build Indrik first (make build)", o.Indrik)
	}
	venv := filepath.Join(o.Dir, "venv")
	e := &environment{
		bin: filepath.Join(venv, "bin"), home: filepath.Join(o.Dir, "home"), apps: o.Apps, indrik: o.Indrik,
		file:     filepath.Join(o.Dir, "50k.txt"),
		calls:    filepath.Join(o.Dir, "calls"),
		versions: make(map[string]string), absent: make(map[string]string),
	}
	var err error
	if e.certFile, e.keyFile, err = serve.Certificate(o.Dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(e.python()); err != nil {
		progress("making %s", venv)
		if _, err := output(ctx, o.Python, "-m", "venv", "--clear", venv); err != nil {
			return nil, fmt.Errorf("making a virtual environment: %w", err)
		}
	}
	installed, err := e.installed(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range packages {
		if installed[normal(r.name)] == r.version {
			continue
		}
		progress("installing %s %s", r.name, r.version)
		limited, cancel := context.WithTimeout(ctx, installTimeout)
		// Not from pip's cache: it holds what was built for another interpreter of the
		// same version, and uWSGI has that linked in.
		_, err := output(limited, e.python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir",
			"--retries", "1", r.name+"=="+r.version)
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			e.absent[r.name] = err.Error()
			progress("%s is absent: %v", r.name, err)
		}
	}
	if err := e.installSpeed(ctx, o.Speed); err != nil {
		return nil, err
	}
	if installed, err = e.installed(ctx); err != nil {
		return nil, err
	}
	if e.absent[speedPackage] == "" {
		e.versions[speedPackage] = installed[speedPackage]
	}
	for _, r := range packages {
		if e.absent[r.name] == "" {
			e.versions[r.name] = installed[normal(r.name)]
		}
	}
	if version, err := nginxVersion(ctx); err != nil {
		e.absent["nginx"] = err.Error()
	} else {
		e.versions["nginx"] = version
	}
	if version, err := h2loadVersion(ctx); err != nil {
		e.absent[h2loadPackage] = err.Error()
	} else {
		e.versions["h2load"] = version
	}
	version, err := output(ctx, e.python(), "--version")
	if err != nil {
		return nil, err
	}
	e.versions["Python"] = strings.TrimPrefix(version, "Python ")
	version, err = output(ctx, o.Indrik, "--version")
	if err != nil {
		return nil, err
	}
	// `indrik (version 1.2.3)`, as argparse says it.
	_, version, _ = strings.Cut(strings.TrimSuffix(version, ")"), "(version ")
	e.versions["indrik"] = version
	return e, nil
}

// installSpeed installs indrik-speed from a directory, anew each time: it changes, and its
// version does not. Without a directory none is left of an earlier run.
func (e *environment) installSpeed(ctx context.Context, dir string) error {
	pip := []string{"-m", "pip", "uninstall", "--quiet", "--yes", "--disable-pip-version-check", speedPackage}
	e.absent[speedPackage] = "no directory of it was given (-speed)"
	if dir != "" {
		progress("installing %s from %s", speedPackage, dir)
		pip = []string{"-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", "--disable-pip-version-check", "--no-cache-dir", dir}
		delete(e.absent, speedPackage)
	}
	limited, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	if _, err := output(limited, e.python(), pip...); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.absent[speedPackage] = err.Error()
		progress("%s is absent: %v", speedPackage, err)
	}
	return nil
}

// installed is what the virtual environment has, by normal name.
func (e *environment) installed(ctx context.Context) (map[string]string, error) {
	text, err := output(ctx, e.python(), "-m", "pip", "list", "--format=json", "--disable-pip-version-check")
	if err != nil {
		return nil, err
	}
	var list []struct{ Name, Version string }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("list of installed packages: %w", err)
	}
	installed := make(map[string]string)
	for _, p := range list {
		installed[normal(p.Name)] = p.Version
	}
	return installed, nil
}

// normal is the name of a package as PEP 503 compares it.
func normal(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// output runs a program to its end. Its error holds the last line that the
// program said.
func output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(program), err, lines[len(lines)-1])
	}
	return strings.TrimSpace(out.String()), nil
}

// complaint runs a program to its end, and returns what it said on standard error.
func complaint(ctx context.Context, program string, args ...string) (string, error) {
	text, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	return string(text), err
}

// progress goes to standard error: standard output is the report.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
