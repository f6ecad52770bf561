package migrate

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unit has what a configuration of NGINX Unit says of a Python app, by the paths in it.
func unit() *source { return indexed("unit", makeUnit) }

func makeUnit() source {
	return source{
		name: "NGINX Unit",
		rules: []rule{
			{"listeners", "`--bind`", "those that lead to the app", "те, что ведут к приложению", nothing},
			{"listeners.tls*=", "`--certfile`, `--keyfile`", "files, not a store of certificates", "файлы, а не хранилище сертификатов", nil},
			{"listeners.forwarded*= listeners.backlog=", "`--forwarded-allow-ips`, `--backlog`", "", "", nil},
			{"module=", "`wsgi_app`", "", "", keep("module")},
			{"callable=", "`wsgi_app`", "behind the colon", "после двоеточия", keep("callable")},
			{"factory=", "", "write the call: `module:create_app()`", "напишите вызов: `module:create_app()`", factory},
			{"targets*=", "", "one app for each server", "одно приложение на сервер", nil},
			{"prefix=", "`--root-path`", "for ASGI; for WSGI `--env SCRIPT_NAME=/PREFIX`", "для ASGI; для WSGI — `--env SCRIPT_NAME=/PREFIX`", to("--root-path")},
			{"path=", "`--pythonpath`", "", "", to("--pythonpath")},
			{"working_directory=", "`--chdir`", "", "", to("--chdir")},
			{"home=", "", "`INDRIK_PYTHON`: [configuration.md](configuration.md#which-python)", "`INDRIK_PYTHON`: [configuration.md](configuration.md#which-python)", virtualenv},
			{"processes= processes.max=", "`--workers`", "", "", to("--workers")},
			{"processes.spare= processes.idle_timeout=", "`--workers`", "a range: `--workers 2..8`", "диапазон: `--workers 2..8`", nil},
			{"thread_stack_size=", "", "the service manager's to set: `LimitSTACK=`", "задаёт менеджер служб: `LimitSTACK=`", nothing},
			{"threads=", "`--threads`", "", "", to("--threads")},
			{"protocol=", "", "an app is recognized", "вид приложения определяется сам", nothing},
			{"type=", "", "Python apps alone are served", "обслуживаются только приложения на Python", nothing},
			{"user= group=", "`--user`, `--group`", "", "", func(m *migration, o option) { m.add(o, "--"+o.name, o.value) }},
			{"environment=", "`--env`", "", "", to("--env")},
			{"limits.timeout=", "`--timeout`", "", "", to("--timeout")},
			{"limits.requests=", "`--max-requests`", "", "", to("--max-requests")},
			{"stdout= stderr= access_log= access_log.path=", "`--error-logfile`, `--access-logfile`", "", "", func(m *migration, o option) {
				m.add(o, map[string]string{"access_log": "--access-logfile", "access_log.path": "--access-logfile"}[o.name]+map[string]string{"stdout": "--error-logfile", "stderr": "--error-logfile"}[o.name], o.value)
			}},
			{"access_log.format= access_log.if=", "`--access-logformat`", "with Gunicorn's atoms", "с подстановками Gunicorn", nil},
			{"isolation*", "", "the service manager's to set, or the container's", "задаёт менеджер служб или контейнер", nil},
			{"routes*", "", "routes, static files and upstreams are for the proxy or the app", "маршруты, статические файлы и upstream — дело прокси или приложения", nil},
			{"upstreams* settings.http.static*", "", "routes, static files and upstreams are for the proxy or the app", "маршруты, статические файлы и upstream — дело прокси или приложения", nil},
			{"settings.http.max_body_size=", "`--limit-request-body`", "", "", to("--limit-request-body")},
			{"settings.http.header_read_timeout=", "`--header-timeout`", "", "", wholeSeconds("--header-timeout")},
			{"settings.http.idle_timeout=", "`--keep-alive`", "", "", wholeSeconds("--keep-alive")},
			{"settings.http.body_read_timeout=", "`--body-timeout`", "", "", wholeSeconds("--body-timeout")},
			{"settings.http.send_timeout=", "`--write-timeout`", "", "", wholeSeconds("--write-timeout")},
			{"settings.http.server_version=", "`--server-header`", "", "", offValue("--server-header", "off")},
			{"settings.* status certificates* js_modules* access_token*", "", "of Unit alone", "есть только в Unit", nil},
		},
		finish: func(m *migration) {
			if m.app = m.values["module"]; m.app == "" {
				return
			}
			if c := m.values["callable"]; c != "" {
				m.app += ":" + c
			}
			if m.values["factory"] != "" {
				m.app += "()"
			}
		},
	}
}

// unitFile takes a configuration: the first Python app of it, by name.
func (m *migration) unitFile(text []byte) error {
	var document struct {
		Listeners    map[string]map[string]any
		Applications map[string]map[string]any
		Routes       any
		Upstreams    any
		Settings     any
		AccessLog    any `json:"access_log"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("it is no configuration of Unit: %w", err)
	}
	app := ""
	for _, name := range slices.Sorted(maps.Keys(document.Applications)) {
		kind, _ := document.Applications[name]["type"].(string)
		switch {
		case !strings.HasPrefix(kind, "python"):
			m.remark("applications."+name, "Python apps alone are served")
		case app != "":
			m.remark("applications."+name, "one app for each server: give it one of its own")
		default:
			app = name
		}
	}
	if app == "" {
		return fmt.Errorf("it has no Python app")
	}
	for _, address := range slices.Sorted(maps.Keys(document.Listeners)) {
		host, port, ok := strings.Cut(address, ":")
		if host == "*" && ok {
			host = "0.0.0.0"
		}
		if bind := host + ":" + port; host == "unix" || ok {
			m.add(option{name: "listeners"}, "--bind", bind)
		}
		for _, key := range slices.Sorted(maps.Keys(document.Listeners[address])) {
			if key != "pass" {
				m.takeJSON("listeners."+key, document.Listeners[address][key])
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(document.Applications[app])) {
		m.takeJSON(key, document.Applications[app][key])
	}
	m.takeJSON("settings", document.Settings)
	m.takeJSON("access_log", document.AccessLog)
	if document.Routes != nil {
		m.take(option{name: "routes"})
	}
	if document.Upstreams != nil {
		m.take(option{name: "upstreams"})
	}
	return nil
}

// takeJSON takes a value of a JSON document as options with its path for a name.
func (m *migration) takeJSON(name string, value any) {
	switch value := value.(type) {
	case nil:
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if name == "environment" {
				m.take(option{name: name, value: key + "=" + fmt.Sprint(value[key]), given: true})
			} else {
				m.takeJSON(name+"."+key, value[key])
			}
		}
	case []any:
		for _, item := range value {
			m.takeJSON(name, item)
		}
	case float64:
		m.take(option{name: name, value: strconv.FormatFloat(value, 'f', -1, 64), given: true})
	case bool:
		m.take(option{name: name, value: strconv.FormatBool(value), given: true})
	default:
		m.take(option{name: name, value: fmt.Sprint(value), given: true})
	}
}
