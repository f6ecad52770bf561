package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"indrik/internal/exitcode"
	"indrik/internal/version"
)

// start calls options as if the program had been started, with a Python beside it.
func start(t *testing.T, vars map[string]string, args ...string) (code int, stdout, stderr string, ok bool) {
	t.Helper()
	if vars == nil {
		python := filepath.Join(t.TempDir(), "python")
		if err := os.WriteFile(python, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		vars = map[string]string{"INDRIK_PYTHON": python}
	}
	var environ []string
	for name, value := range vars {
		environ = append(environ, name+"="+value)
	}
	var out, errs bytes.Buffer
	o, code, ok := options(append([]string{"indrik"}, args...), environ, &out, &errs)
	if ok && (o.Python == "" || o.Dir == "" || !slices.Equal(o.Argv[1:], args)) {
		t.Errorf("options are incomplete: %+v", o)
	}
	return code, out.String(), errs.String(), ok
}

func TestStart(t *testing.T) {
	code, out, errs, ok := start(t, nil, "-w", "2", "test:app")
	if !ok || out+errs != "" {
		t.Errorf("code %d, %q %q", code, out, errs)
	}
}

func TestVersion(t *testing.T) {
	for _, flag := range []string{"-v", "--version", "--vers"} {
		code, out, errs, ok := start(t, nil, flag)
		if want := "indrik (version " + version.Version + ")\n"; ok || code != exitcode.OK || out != want || errs != "" {
			t.Errorf("%s: code %d, %q %q", flag, code, out, errs)
		}
	}
}

func TestHelp(t *testing.T) {
	code, out, errs, ok := start(t, nil, "-h", "-w", "2")
	if ok || code != exitcode.OK || errs != "" {
		t.Errorf("code %d, %q", code, errs)
	}
	_, all, _, _ := start(t, nil, "--help-all")
	for _, want := range []string{"usage: indrik [OPTIONS] [APP_MODULE]\n", "-w, --workers INT", "[127.0.0.1:8000]"} {
		if !strings.Contains(out, want) || !strings.Contains(all, want) {
			t.Errorf("the help does not contain %q:\n%s", want, out)
		}
	}
	if want := "\nWorker Processes:\n"; !strings.Contains(all, want) || strings.Contains(out, want) {
		t.Errorf("the sections:\n%s", all)
	}
}

func TestPrintCompletion(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -F _indrik indrik\n", "zsh": "#compdef indrik\n", "fish": "complete -c indrik -f\n"} {
		code, out, errs, ok := start(t, nil, "--print-completion", shell)
		if ok || code != exitcode.OK || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%s: code %d, %q %q", shell, code, out, errs)
		}
	}
}

func TestErrors(t *testing.T) {
	python := map[string]string{"INDRIK_PYTHON": "/bin/sh"}
	with := func(name, value string) map[string]string {
		return map[string]string{"INDRIK_PYTHON": "/bin/sh", name: value}
	}
	usage := "usage: indrik [OPTIONS] [APP_MODULE]\nindrik: error: "
	for _, c := range []struct {
		vars map[string]string
		args []string
		code int
		want string
	}{
		{python, []string{"--x"}, 2, usage + "unrecognized arguments: --x\n"},
		{python, []string{"--print-completion", "tcsh"}, 2, usage + "argument --print-completion: invalid choice: 'tcsh' (choose from 'bash', 'zsh', 'fish')\n"},
		{python, []string{"-w", "abc"}, 2, usage + "argument -w/--workers: invalid int value: 'abc'\n"},
		{with("GUNICORN_CMD_ARGS", "-w abc"), nil, 2, usage + "argument -w/--workers: invalid int value: 'abc' (in GUNICORN_CMD_ARGS)\n"},
		{with("INDRIK_CMD_ARGS", "-w 'abc"), nil, 1, "\nError: INDRIK_CMD_ARGS: No closing quotation\n"},
		{map[string]string{"INDRIK_PYTHON": "/no/python"}, nil, 1, "\nError: no Python found. Tried:\n  INDRIK_PYTHON=/no/python\n"},
	} {
		code, out, errs, ok := start(t, c.vars, c.args...)
		if ok || code != c.code || out != "" || !strings.HasPrefix(errs, c.want) {
			t.Errorf("%q, %q: code %d, %q %q", c.vars, c.args, code, out, errs)
		}
	}
}
