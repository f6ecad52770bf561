package migrate

import (
	"path"
	"strconv"
	"strings"
)

// uwsgi has the options of uWSGI 2.0.31 that the files of projects use, one by one, and the
// others by what they are for.
func uwsgi() *source { return indexed("uwsgi", makeUwsgi) }

func makeUwsgi() source {
	return source{
		name: "uWSGI", prefix: "UWSGI_",
		app:    uwsgiArgument,
		finish: uwsgiFinish,
		shorts: map[string]string{
			"-s": "socket", "-p": "processes", "-M": "master", "-z": "socket-timeout", "-l": "listen", "-d": "daemonize", "-H": "home", "-w": "module",
			"-i": "single-interpreter", "-T": "enable-threads", "-t": "harakiri", "-R": "max-requests", "-b": "buffer-size", "-L": "disable-logging",
			"-C": "chmod-socket", "-x": "xml", "-y": "yaml", "-m": "memory-report", "-r": "reload-mercy", "-j": "json", "-e": "env",
		},
		rules: append(uwsgiRules(), uwsgiGroups()...),
	}
}

// uwsgiArgument takes a word that is no option: a file, an address or an app.
func uwsgiArgument(m *migration, text string) {
	switch path.Ext(text) {
	case ".ini", ".yaml", ".yml", ".json", ".xml":
		m.include(option{name: strings.TrimPrefix(path.Ext(text), "."), value: text, given: true})
	case ".py", ".wsgi":
		m.take(option{name: "wsgi-file", value: text, given: true})
	default:
		if strings.Contains(text, ":") && !strings.Contains(text, "/") {
			m.take(option{name: "socket", value: text, given: true})
			return
		}
		m.remark(text, "what it is for is not known")
	}
}

// keep returns an action that keeps the value for the end.
func keep(key string) action {
	return func(m *migration, o option) {
		m.values[key] = o.value
		m.from["wsgi_app"] = append(m.from["wsgi_app"], o.name)
	}
}

// uwsgiFinish names the app, which up to four options do together, and what uWSGI does unless
// it is told otherwise.
func uwsgiFinish(m *migration) {
	if m.values["no requests"] == "" && m.from["accesslog"] == nil { // it logs them where it logs all else
		file := "-"
		if log, ok := m.layer.Values["errorlog"].(string); ok {
			file = log
		}
		m.add(option{name: "without disable-logging"}, "--access-logfile", file)
	}
	module, dir := m.values["module"], m.values["chdir"]
	if file := m.values["wsgi-file"]; file != "" && module == "" {
		module = m.moduleOf(file, dir)
	}
	if mounted := m.values["mount"]; mounted != "" && module == "" {
		module = mounted
		if strings.HasSuffix(module, ".py") || strings.HasSuffix(module, ".wsgi") {
			module = m.moduleOf(module, dir)
		}
	}
	if module == "" {
		return
	}
	if callable := m.values["callable"]; callable != "" && !strings.Contains(module, ":") {
		module += ":" + callable
	}
	m.app = module
	if m.values["lazy"] == "" {
		m.add(option{name: "without lazy-apps"}, "--preload")
	}
}

// moduleOf names the module that a file is, seen from the directory of the app.
func (m *migration) moduleOf(file, dir string) string {
	file = path.Clean(file)
	if rest, ok := strings.CutPrefix(file, strings.TrimSuffix(dir, "/")+"/"); ok && dir != "" {
		file = rest
	}
	if path.IsAbs(file) { // its directory has to be on the path
		m.add(option{name: "wsgi-file"}, "--pythonpath", path.Dir(file))
		file = path.Base(file)
	}
	if ext := path.Ext(file); ext != ".py" {
		m.remark("wsgi-file = "+file, "a module's file ends in .py: rename it")
		file = strings.TrimSuffix(file, ext)
	}
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(file, "./"), ".py"), "/", ".")
}

// listenOn returns an action for an address, by a protocol.
func listenOn(protocol string) action {
	return func(m *migration, o option) {
		address, rest, _ := strings.Cut(o.value, ",")
		if protocol == "https" {
			parts := strings.Split(rest, ",")
			for i, flag := range []string{"--certfile", "--keyfile", "--ciphers", "--ca-certs"} {
				if i < len(parts) && parts[i] != "" {
					m.add(o, flag, strings.TrimPrefix(parts[i], "!"))
				}
			}
		}
		scheme := protocol
		if protocol == "" {
			if scheme = m.values["protocol"]; scheme == "" {
				scheme = "uwsgi"
			}
		}
		if strings.HasPrefix(address, "@") || strings.HasPrefix(address, "=") {
			m.remark(o.String(), "abstract and shared sockets are not there: name a file or a port")
			return
		}
		switch {
		case strings.HasPrefix(address, ":"):
			address = "0.0.0.0" + address
		case strings.HasPrefix(address, "fd://"):
		case strings.Contains(address, "/") || !strings.Contains(address, ":"):
			address = "unix:" + strings.TrimPrefix(address, "unix:")
		}
		if scheme == "uwsgi" || scheme == "fastcgi" || scheme == "scgi" {
			address = scheme + "://" + address
		}
		m.add(o, "--bind", address)
	}
}

// count takes a number of processes: a number, %k for those of the machine, or %(%k * 2).
func count(flag string) action {
	return func(m *migration, o option) {
		switch n, err := strconv.Atoi(strings.TrimSpace(o.value)); {
		case err == nil && n == 0:
			m.needless(o)
		case err == nil:
			m.add(o, flag, strconv.Itoa(n))
		case strings.Contains(o.value, "auto") || strings.Contains(o.value, "%k"):
			m.add(o, flag, "auto")
		default:
			m.add(o, flag, o.value)
		}
	}
}

// mountPoint takes PATH=APP.
func mountPoint(m *migration, o option) {
	at, app, ok := strings.Cut(o.value, "=")
	if !ok || m.values["mount"] != "" {
		m.remark(o.String(), "one server serves one app: a second app is another server, or mounted by the app itself (werkzeug's DispatcherMiddleware)")
		return
	}
	m.values["mount"] = app
	m.from["wsgi_app"] = append(m.from["wsgi_app"], o.name)
	if at = strings.TrimSuffix(at, "/"); at != "" {
		m.add(o, "--env", "SCRIPT_NAME="+at)
	}
}

// seconds returns an action for a number that uWSGI takes as a flag, too: without a value it is
// uWSGI's default.
func secondsOr(flag, otherwise string) action {
	return func(m *migration, o option) {
		if _, err := strconv.Atoi(o.value); err != nil {
			o.value = otherwise
		}
		m.add(o, flag, o.value)
	}
}

// fileLog takes a log, which may have a plugin before its file: file:/var/log/x.log.
func fileLog(flag string) action {
	return func(m *migration, o option) {
		kind, file, ok := strings.Cut(o.value, ":")
		switch {
		case !ok:
			file = o.value
		case kind == "stdio":
			file = "-"
		case kind == "syslog" || kind == "rsyslog":
			m.add(o, "--log-syslog")
			return
		case kind != "file" && !strings.HasPrefix(kind, "/"):
			m.remark(o.String(), "logs go to files, to the standard output and to syslog")
			return
		}
		m.add(o, flag, file)
	}
}

// headerSize takes the size of a request without its body, which is 64 KiB at most there.
func headerSize(m *migration, o option) {
	n, err := strconv.Atoi(o.value)
	if err != nil || n <= 0 {
		m.add(o, "--limit-request-head", o.value)
		return
	}
	m.add(o, "--limit-request-head", strconv.Itoa(n))
	if n > 8190 {
		m.add(o, "--limit-request-line", strconv.Itoa(min(n, 65_535)))
		m.add(o, "--limit-request-field_size", strconv.Itoa(min(n, 65_535)))
	}
}

func chdir(m *migration, o option) {
	m.values["chdir"] = o.value
	m.add(o, "--chdir", o.value)
}

// lazy notes that each worker loads the app, as is the default here.
func lazy(m *migration, o option) {
	m.values["lazy"] = "yes"
	m.needless(o)
}

func daemonize(m *migration, o option) {
	m.add(o, "--daemon")
	m.add(o, "--error-logfile", o.value)
}
