package migrate

import (
	"encoding/json"
	"fmt"
	"strings"
)

// logical are the lines of a file with those that end in a backslash joined with the next, and
// without comments.
func logical(text []byte) []string {
	var all, joined []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(text), "\ufffd"), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") && len(joined) == 0 {
			continue
		}
		if rest, more := strings.CutSuffix(line, "\\"); more {
			joined = append(joined, rest)
			continue
		}
		all = append(all, strings.Join(append(joined, line), " "))
		joined = nil
	}
	return append(all, strings.Join(joined, " "))
}

// procfile reads the process web of a Procfile, or the first that is a server.
func procfile(text []byte, where string) (*migration, error) {
	var first *migration
	for _, line := range logical(text) {
		kind, text, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		m, err := shellLine(text, nil, where)
		if err != nil && kind == "web" {
			return nil, err
		}
		if err == nil && (first == nil || kind == "web") {
			first = m
		}
	}
	if first == nil {
		return nil, errNoCommand
	}
	return first, nil
}

// shellLine reads a line that a shell would run.
func shellLine(text string, environ []string, where string) (*migration, error) {
	split, err := shellWords(variables(text, environ))
	if err != nil {
		return nil, err
	}
	kept, port := settled(split)
	m, err := command(kept, environ, where)
	if err == nil && port {
		m.needless(option{name: "PORT, which the address is taken from"})
	}
	return m, err
}

// settled leaves out the address that Indrik takes from PORT itself, --bind 0.0.0.0:$PORT, and
// reports whether there is one.
func settled(split []string) (kept []string, port bool) {
	for i := 0; i < len(split); i++ {
		flag, value, joined := strings.Cut(split[i], "=")
		if !joined && i+1 < len(split) {
			value = split[i+1]
		}
		isAddress := flag == "--bind" || flag == "-b" || flag == "--port" || flag == "--http" || flag == "--http-socket"
		if name := strings.Trim(value[strings.LastIndexByte(value, ':')+1:], "${}"); isAddress && strings.Contains(value, "$") && name == "PORT" {
			port = true
			if !joined {
				i++
			}
			continue
		}
		if flag == "--host" && (value == "0.0.0.0" || value == "::") && strings.Contains(strings.Join(split, " "), "$PORT") {
			if !joined {
				i++
			}
			continue
		}
		kept = append(kept, split[i])
	}
	return kept, port
}

// dockerfile reads what a container of a Dockerfile's last stage starts.
func dockerfile(text []byte, where string) (*migration, error) {
	var entry, cmd []string
	environ := []string{}
	entryShell, cmdShell := false, false
	for _, line := range logical(text) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch strings.ToUpper(name) {
		case "FROM":
			environ, entry, cmd = environ[:0], nil, nil
		case "ENV", "ARG":
			environ = append(environ, assignments(rest)...)
		case "ENTRYPOINT":
			entry, entryShell = dockerWords(rest)
		case "CMD":
			cmd, cmdShell = dockerWords(rest)
		}
	}
	started := append(append([]string(nil), entry...), cmd...)
	if entryShell {
		started = entry
	}
	if len(started) == 0 {
		return nil, errNoCommand
	}
	var m *migration
	var err error
	if entryShell || cmdShell && len(entry) == 0 {
		m, err = shellLine(started[0], environ, where)
	} else {
		m, err = command(started, environ, where)
	}
	if err == nil {
		m.remark("CMD", `start it by CMD ["indrik"], with the file copied into the directory of the app`)
	}
	return m, err
}

// dockerWords are the words of a command in a Dockerfile: a JSON list, or one line for a shell.
func dockerWords(text string) (split []string, shell bool) {
	if json.Unmarshal([]byte(text), &split) == nil && len(split) > 0 {
		return split, false
	}
	if text == "" {
		return nil, false
	}
	return []string{text}, true
}

// assignments are the variables that a line sets: NAME=VALUE, with quotes, or NAME VALUE.
func assignments(text string) []string {
	split, err := words(text)
	if err != nil || len(split) == 0 {
		return nil
	}
	if !strings.Contains(split[0], "=") {
		return []string{split[0] + "=" + strings.Join(split[1:], " ")}
	}
	var pairs []string
	for _, word := range split {
		if name, _, ok := strings.Cut(word, "="); ok && isName(name) {
			pairs = append(pairs, word)
		}
	}
	return pairs
}

// systemdUnit reads ExecStart= of a service, and the variables that it has.
func systemdUnit(text []byte, where string) (*migration, error) {
	var environ, remarks []string
	start := ""
	for _, line := range logical(text) {
		key, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch key = strings.TrimSpace(key); key {
		case "ExecStart":
			if value != "" {
				start = strings.TrimLeft(value, "-@:+!|")
			}
		case "Environment":
			environ = append(environ, assignments(value)...)
		case "EnvironmentFile":
			remarks = append(remarks, key+"="+value)
		}
	}
	if start == "" {
		return nil, errNoCommand
	}
	m, err := shellLine(start, environ, where)
	if err != nil {
		return nil, err
	}
	for _, line := range remarks {
		m.remark(line, "not read: indrik migrate of that file shows what its variables become")
	}
	m.remark("ExecStart", "put indrik there, and leave User=, Group= and WorkingDirectory= as they are: Type=notify works")
	return m, nil
}

// variableFile reads a file of variables, as EnvironmentFile= and --env-file have it.
func variableFile(text []byte, where string) (*migration, error) {
	all := logical(text)
	environ := make([]string, 0, len(all))
	for _, line := range all {
		line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
		environ = append(environ, assignments(line)...)
	}
	for _, s := range []struct {
		source *source
		name   string
	}{{uvicorn(), "uvicorn"}, {granian(), "granian"}, {uwsgi(), "uwsgi"}} {
		for _, pair := range environ {
			if strings.HasPrefix(pair, s.source.prefix) {
				m, err := read(s.name, nil, environ)
				if err == nil {
					m.where = where
				}
				return m, err
			}
		}
	}
	for _, pair := range environ {
		if strings.HasPrefix(pair, "GUNICORN_CMD_ARGS=") {
			m := newMigration(gunicorn())
			m.where = where
			return m, m.gunicornVariables(environ)
		}
	}
	return nil, fmt.Errorf("it has no variable of a server that is known: UVICORN_…, GRANIAN_…, UWSGI_…, GUNICORN_CMD_ARGS")
}
