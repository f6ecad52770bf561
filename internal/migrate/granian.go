package migrate

import (
	"strconv"
	"strings"
)

// granian has the options of Granian 2.8.
func granian() *source { return indexed("granian", makeGranian) }

func makeGranian() source {
	return source{
		name: "Granian", prefix: "GRANIAN_", dashes: "--",
		app: func(m *migration, text string) { m.app = appDefault(text) },
		variables: map[string]string{
			"GRANIAN_WEBSOCKETS": "ws", "GRANIAN_LOG_ENABLED": "log", "GRANIAN_LOG_ACCESS_ENABLED": "access-log", "GRANIAN_LOG_ACCESS_FMT": "access-log-fmt",
			"GRANIAN_METRICS_ENABLED": "metrics", "GRANIAN_APP": "app",
		},
		finish: func(m *migration) {
			uvicorn().finish(m)
			if m.values["interface"] == "" {
				m.remark("interface", "RSGI, Granian's default, is not there: the app has to be ASGI or WSGI")
			}
		},
		rules: []rule{
			{"host= port=", "`--bind HOST:PORT`", "the default is 127.0.0.1:8000 too", "по умолчанию тоже 127.0.0.1:8000", hostOrPort},
			{"uds=", "`--bind unix:PATH`", "", "", to("--uds")},
			{"uds-permissions=", "`--umask`", "the bits to take away: `--umask 007` for mode 770", "какие права отнять: `--umask 007` для прав 770", socketMode},
			{"interface=", "", "an app is recognized. RSGI is not there", "вид приложения определяется сам. RSGI нет", granianInterface},
			{"http=", "`--http-protocols h1,h2`", "with TLS; without, see `--http2-cleartext`", "с TLS; без него см. `--http2-cleartext`", granianHTTP},
			{"[no-]ws", "", "WebSockets cannot be turned off: [websockets.md](websockets.md)", "WebSocket отключить нельзя: [websockets.md](websockets.md)", sayNo},
			{"workers= backlog= log-level=", "=", "", "", granianSame},
			{"blocking-threads=", "`--threads`", "of WSGI apps; ASGI apps have threads of their own", "для WSGI; у приложений ASGI потоки свои", to("--threads")},
			{"runtime-threads= runtime-mode= runtime-blocking-threads= blocking-threads-idle-timeout= task-impl= http1-pipeline-flush http2-adaptive-window [no-]http1-pipeline-flush [no-]http2-adaptive-window", "", "the front uses half of the processors, or `GOMAXPROCS` of them", "front использует половину процессоров, или столько, сколько задано в `GOMAXPROCS`", nothing},
			{"loop=", "`--asgi-loop`", "auto, asyncio or uvloop", "auto, asyncio или uvloop", to("--asgi-loop")},
			{"backpressure=", "`--worker-connections`, `--queue-limit`", "how many requests a worker may run at once; how many may wait", "сколько запросов воркер выполняет сразу; сколько может ждать", to("--worker-connections")},
			{"http1-buffer-size=", "`--limit-request-head`", "the size of a head, in bytes", "размер заголовка в байтах", to("--limit-request-head")},
			{"http1-header-read-timeout=", "`--header-timeout`", "seconds, not milliseconds", "секунды, а не миллисекунды", milliseconds("--header-timeout")},
			{"[no-]http1-keep-alive", "`--keep-alive`", "0 closes each connection after its response", "0 закрывает соединение после ответа", onOff("--keep-alive", "", "0")},
			{"http2-max-concurrent-streams= http2-max-frame-size= http2-initial-stream-window-size= http2-max-headers-size=", "`--http2-max-concurrent-streams`, `--http2-max-frame-size`, `--http2-initial-window-size`, `--http2-max-header-list-size`", "", "", granianHTTP2},
			{"http2-initial-connection-window-size= http2-max-send-buffer-size= http2-keep-alive-interval= http2-keep-alive-timeout=", "", "bounded without a setting, or see `--http2-idle-timeout`", "ограничено без настройки, или см. `--http2-idle-timeout`", nil},
			{"[no-]log", "`--error-logfile`", "`/dev/null` for no log", "`/dev/null`, чтобы журнала не было", onOff("--error-logfile", "", "/dev/null")},
			{"log-config=", "`--log-config-json`", "the loggers are `gunicorn.error` and `gunicorn.access`", "журналы называются `gunicorn.error` и `gunicorn.access`", to("--log-config-json")},
			{"[no-]access-log", "`--access-logfile -`", "", "", onOff("--access-logfile", "-", "")},
			{"access-log-fmt=", "`--access-logformat`", "with Gunicorn's atoms", "с подстановками Gunicorn", nil},
			{"ssl-certificate= ssl-keyfile= ssl-ca=", "`--certfile`, `--keyfile`, `--ca-certs`", "changed files are read without a reload", "изменившиеся файлы перечитываются без перезагрузки", granianTLS},
			{"ssl-keyfile-password= ssl-crl=", "", "the key must not be encrypted; there are no revocation lists", "ключ не должен быть зашифрован; списков отзыва нет", nil},
			{"ssl-protocol-min=", "`--tls-min-version`", "1.2 by default", "по умолчанию 1.2", func(m *migration, o option) { m.add(o, "--tls-min-version", strings.TrimPrefix(o.value, "tls")) }},
			{"[no-]ssl-client-verify", "`--cert-reqs 2`", "", "", onOff("--cert-reqs", "2", "")},
			{"url-path-prefix=", "`--root-path`", "for ASGI; for WSGI `SCRIPT_NAME` in the environment, or a header of a trusted proxy", "для ASGI; для WSGI — `SCRIPT_NAME` в окружении или заголовок доверенного прокси", to("--root-path")},
			{"[no-]respawn-failed-workers respawn-interval=", "", "workers that have ended are always replaced", "завершившиеся воркеры заменяются всегда", nothing},
			{"workers-lifetime= workers-max-rss= rss-sample-interval= rss-samples=", "`--max-requests`", "workers are replaced by the number of their requests", "воркеры заменяются по числу запросов", nil},
			{"workers-kill-timeout=", "`--graceful-timeout`", "", "", duration("--graceful-timeout")},
			{"[no-]factory", "", "a callable without arguments is called, with the option and without", "то, что не принимает аргументов, вызывается и с этим ключом, и без него", factory},
			{"working-dir=", "`--chdir`", "", "", to("--chdir")},
			{"env-files=", "`--env`", "one variable for each option; or let the service manager read the file", "по одной переменной; или пусть файл читает менеджер служб", nil},
			{"static-path-route= static-path-mount= static-path-dir-to-file= static-path-expires=", "", "WhiteNoise or StaticFiles in the app, or the proxy", "WhiteNoise или StaticFiles в приложении либо прокси", nil},
			{"[no-]metrics metrics-scrape-interval= metrics-address= metrics-port=", "`--admin-bind`", "its path `/metrics`: [observe.md](observe.md#admin-address)", "путь `/metrics` на этом адресе: [observe.md](observe.md#admin-address)", granianMetrics},
			{"[no-]reload", "`--reload`", "", "", given("--reload")},
			{"reload-paths= reload-ignore-dirs= reload-ignore-patterns= reload-ignore-paths= reload-tick= [no-]reload-ignore-worker-failure", "", "imported files are watched, wherever they are; others: `--reload-extra-file`", "отслеживается то, что импортировано, где бы оно ни лежало; прочее — `--reload-extra-file`", nothing},
			{"process-name= pid-file=", "`--name`, `--pid`", "", "", granianNames},
		},
	}
}

func granianSame(m *migration, o option) {
	if o.name == "log-level" {
		logLevel(m, o)
		return
	}
	same(m, o)
}

func granianInterface(m *migration, o option) {
	m.values["interface"] = o.value
	if o.value == "rsgi" {
		m.say(o)
	} else {
		m.needless(o)
	}
}

func granianHTTP(m *migration, o option) {
	if o.value == "2" {
		m.add(o, "--http-protocols", "h2")
	} else {
		m.needless(o)
	}
}

func granianHTTP2(m *migration, o option) {
	m.add(o, map[string]string{
		"http2-max-concurrent-streams": "--http2-max-concurrent-streams", "http2-max-frame-size": "--http2-max-frame-size",
		"http2-initial-stream-window-size": "--http2-initial-window-size", "http2-max-headers-size": "--http2-max-header-list-size",
	}[o.name], o.value)
}

func granianTLS(m *migration, o option) {
	m.add(o, map[string]string{"ssl-certificate": "--certfile", "ssl-keyfile": "--keyfile", "ssl-ca": "--ca-certs"}[o.name], o.value)
}

func granianNames(m *migration, o option) {
	m.add(o, map[string]string{"process-name": "--name", "pid-file": "--pid"}[o.name], o.value)
}

// granianMetrics makes an address of two options, if metrics are asked for.
func granianMetrics(m *migration, o option) {
	if o.name != "metrics" {
		m.say(o)
	} else if !o.negated {
		m.add(o, "--admin-bind", "127.0.0.1:9090")
	}
}

// milliseconds returns an action for an option in milliseconds.
func milliseconds(flag string) action {
	return func(m *migration, o option) {
		if n, err := strconv.Atoi(o.value); err == nil {
			o.value = strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
		}
		wholeSeconds(flag)(m, o)
	}
}

var durations = lazily(`^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$`)

// duration returns an action for an option in seconds or as 1h30m.
func duration(flag string) action {
	return func(m *migration, o option) {
		if parts := durations().FindStringSubmatch(o.value); parts != nil && o.value != "" {
			total := 0
			for i, unit := range []int{86400, 3600, 60, 1} {
				if n, err := strconv.Atoi(parts[i+1]); err == nil {
					total += n * unit
				}
			}
			o.value = strconv.Itoa(total)
		}
		wholeSeconds(flag)(m, o)
	}
}

// socketMode takes the mode of a unix socket.
func socketMode(m *migration, o option) {
	mode, err := strconv.ParseInt(strings.TrimPrefix(o.value, "0o"), 8, 32)
	if err != nil || mode < 0 || mode > 0o777 {
		m.remark(o.String(), "it is no file mode")
		return
	}
	m.add(o, "--umask", "0o"+strconv.FormatInt(0o777&^mode, 8))
}
