package settings

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// What an app looks like in a file: at the beginning of a line.
var (
	appMade = regexp.MustCompile(`(?m)^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)*(?:Flask|FastAPI|Starlette|Quart|Litestar|Sanic|Bottle|APIFlask|get_wsgi_application|get_asgi_application)\(`)
	appName = regexp.MustCompile(`(?m)^(?:(?:async )?def )?(app|application)\s*(?:=|\(|:)`)
	factory = regexp.MustCompile(`(?m)^def (create_app|make_app|get_app)\(\s*\)`)
)

const (
	mostFiles = 50       // that are looked into
	mostBytes = 64 << 10 // of each
)

// NoApp is the report of [ErrNoApp] for somebody who is in dir: with the apps that
// are there.
func NoApp(prog, dir string) string {
	text := Report(ErrNoApp) + "  Which app? " + prog + " MODULE:APP, for instance " + prog + " app:app for app in app.py.\n"
	if specs := apps(dir); len(specs) > 0 {
		text += "  Here are: " + strings.Join(specs, ", ") + "\n"
	}
	return text + "  " + prog + " --help has the rest.\n"
}

// apps are what look like apps in the files of a directory, and in the wsgi.py and
// asgi.py one level below.
func apps(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*.py"))
	for _, name := range []string{"wsgi.py", "asgi.py"} {
		more, _ := filepath.Glob(filepath.Join(dir, "*", name))
		files = append(files, more...)
	}
	var specs []string
	for _, path := range files[:min(len(files), mostFiles)] {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			continue
		}
		module := strings.ReplaceAll(strings.TrimSuffix(rel, ".py"), "/", ".")
		if name := appIn(path); name != "" && !strings.HasPrefix(module, "test") && !strings.Contains(module, "conf") {
			specs = append(specs, module+":"+name)
		}
	}
	return slices.Compact(specs)
}

// appIn is what looks like an app in a file, "" if nothing does.
func appIn(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return ""
	}
	for _, form := range []*regexp.Regexp{appName, appMade} {
		if m := form.FindSubmatch(text); m != nil {
			return string(m[1])
		}
	}
	if m := factory.FindSubmatch(text); m != nil {
		return "'" + string(m[1]) + "()'"
	}
	return ""
}
