package migrate

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// servers are the programs that commands start, by the names of their files.
var servers = []string{"uvicorn", "hypercorn", "granian", "gunicorn", "uwsgi", "uwsgi-core", "fastapi"}

// serverIn returns the index of the word that is a server's name, -1 if none is.
func serverIn(words []string) int {
	return slices.IndexFunc(words, func(word string) bool { return slices.Contains(servers, path.Base(word)) })
}

// command reads a command line, and the variables that it is started with.
func command(words, environ []string, where string) (*migration, error) {
	at := serverIn(words)
	if at < 0 {
		for _, word := range words { // sh -c "...", or a command as one word
			if !strings.Contains(word, " ") {
				continue
			}
			if split, err := shellWords(word); err == nil && serverIn(split) >= 0 {
				return shellLine(word, environ, where)
			}
		}
		return nil, fmt.Errorf("there is no server in it that is known (%s): %.200q", strings.Join(servers[:5], ", "), strings.Join(words, " "))
	}
	own, before := slices.Clone(environ), []string{}
	for _, word := range words[:at] {
		name, _, assigns := strings.Cut(word, "=")
		switch {
		case assigns && isName(name):
			own = append(own, word)
		case word == "exec", word == "env", word == "-m", strings.HasPrefix(path.Base(word), "python"):
		default:
			before = append(before, word)
		}
	}
	m, err := read(path.Base(words[at]), words[at+1:], own)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Base(words[at]), err)
	}
	if m.where == "" {
		m.where = where
	}
	if len(before) > 0 {
		m.remark(strings.Join(before, " "), "put it before indrik as it was before "+path.Base(words[at]))
	}
	return m, nil
}

// read takes the arguments of a server, and its variables before them.
func read(server string, args, environ []string) (*migration, error) {
	var m *migration
	switch server {
	case "gunicorn":
		m = newMigration(gunicorn())
		if err := m.gunicornLine(args); err != nil {
			return nil, err
		}
		return m, m.gunicornVariables(environ)
	case "hypercorn":
		m = newMigration(hypercorn())
	case "granian":
		m = newMigration(granian())
	case "uwsgi", "uwsgi-core":
		m = newMigration(uwsgi())
		for _, pair := range environ {
			name, value, _ := strings.Cut(pair, "=")
			m.values["$"+name] = value
		}
	case "fastapi":
		m = newMigration(uvicorn())
		args = fastapiArgs(args)
	default:
		m = newMigration(uvicorn())
	}
	m.environment(environ)
	m.arguments(args)
	m.finished()
	return m, nil
}

// fastapiArgs makes of the arguments of `fastapi run` and `fastapi dev` those of uvicorn.
func fastapiArgs(args []string) []string {
	var made []string
	mode := ""
	for _, arg := range args {
		switch {
		case arg == "run" || arg == "dev":
			mode = arg
		case strings.HasSuffix(arg, ".py"):
			made = append(made, strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(arg, "./"), ".py"), "/", ".")+":app")
		default:
			made = append(made, arg)
		}
	}
	if mode == "dev" {
		made = append([]string{"--reload"}, made...)
	} else if !slices.Contains(args, "--host") {
		made = append([]string{"--host", "0.0.0.0"}, made...)
	}
	if i := slices.Index(made, "--app"); i >= 0 && i+1 < len(made) {
		name := made[i+1]
		made = slices.Delete(made, i, i+2)
		for j, arg := range made {
			if module, ok := strings.CutSuffix(arg, ":app"); ok {
				made[j] = module + ":" + name
			}
		}
	}
	return made
}

// isName reports whether a text can be the name of a variable.
func isName(text string) bool {
	for i, r := range text {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return text != ""
}

func cutVariable(pair, name string) (string, bool) { return strings.CutPrefix(pair, name+"=") }

// shellWords splits a line of a shell, and returns the words of the last of its commands that
// starts a server.
func shellWords(line string) ([]string, error) {
	split, err := words(line)
	if err != nil {
		return nil, err
	}
	last, begin := split, 0
	for i, word := range append(split, ";") {
		end := i
		switch rest, ends := strings.CutSuffix(word, ";"); {
		case word == "&&" || word == "||" || word == "&" || word == "|" || rest == "" && ends:
		case ends:
			split[i], end = rest, i+1
		default:
			continue
		}
		if serverIn(split[begin:end]) >= 0 {
			last = split[begin:end]
		}
		begin = i + 1
	}
	return last, nil
}

// errNoCommand reports a file that starts no server.
var errNoCommand = errors.New("nothing in it starts a server")

// variables replaces $NAME and ${NAME:-otherwise} in words by what is known. A word with one
// that is not known is left as it is, and said.
func variables(text string, environ []string) string {
	var b strings.Builder
	for len(text) > 0 {
		i := strings.IndexByte(text, '$')
		if i < 0 || i+1 == len(text) {
			break
		}
		b.WriteString(text[:i])
		name, otherwise, rest, ok := variableIn(text[i+1:])
		if !ok {
			b.WriteByte('$')
			text = text[i+1:]
			continue
		}
		value := otherwise
		found := value != ""
		for _, pair := range environ {
			if v, ok := cutVariable(pair, name); ok {
				value, found = v, true
			}
		}
		if !found {
			value = text[i : len(text)-len(rest)]
		}
		b.WriteString(value)
		text = rest
	}
	return b.String() + text
}

// variableIn returns the name of a variable that a text begins with, behind the $.
func variableIn(text string) (name, otherwise, rest string, ok bool) {
	if braced, found := strings.CutPrefix(text, "{"); found {
		inside, rest, closed := strings.Cut(braced, "}")
		name, otherwise, _ = strings.Cut(inside, "-")
		name = strings.TrimSuffix(name, ":")
		return name, otherwise, rest, closed && isName(name)
	}
	end := 0
	for end < len(text) && isName("_"+text[end:end+1]) && (end > 0 || isName(text[:1])) {
		end++
	}
	return text[:end], "", text[end:], end > 0
}
