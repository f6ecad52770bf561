package settings

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestSplitProgram(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"run.py":   "from gunicorn.app.base import BaseApplication\n",
		"app.py":   "from flask import Flask\napp = Flask(__name__)\n",
		"serve":    "#!/usr/bin/env python3\nimport service\n",
		"binary":   "\x7fELF",
		"conf.py":  "# for WSGIApplication\n",
		"late.py":  strings.Repeat("#", 2*mostBytes) + "\nBaseApplication\n",
		"a/run.py": "import indrik.app\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		"run.py":                            "run.py",
		"run.py --bind :1 x":                "run.py --bind :1 x",
		"-w 2 run.py --color red":           "run.py --color red",
		"a/run.py":                          "a/run.py",
		"serve now":                         "serve now",
		"file:app.py":                       "file:app.py",
		"python:pkg.main -x":                "python:pkg.main -x",
		"--config conf.py app:app":          "",
		"-c conf.py -- run.py x":            "run.py x",
		"app.py":                            "",
		"binary":                            "",
		"late.py":                           "",
		"file:":                             "",
		"missing.py":                        "",
		"app:app run.py":                    "",
		"-k python:x app:app":               "",
		"a":                                 "",
		"":                                  "",
		"--no-such-option run.py":           "",
		"--name run.py app:app --workers 1": "",
	} {
		args := strings.Fields(line)
		own, program := SplitProgram(args)
		if got := strings.Join(program, " "); got != want {
			t.Errorf("%q: the program is %q, want %q", line, got, want)
		}
		if want != "" && !reflect.DeepEqual(append(own[:len(own)-1:len(own)-1], program...), args) {
			t.Errorf("%q: %q and %q", line, own, program)
		}
		if want == "" && !reflect.DeepEqual(own, args) {
			t.Errorf("%q: %q", line, own)
		}
	}
}
