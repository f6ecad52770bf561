package migrate

import "strings"

// uvicorn has the options of uvicorn 0.54, and of `fastapi run` and `fastapi dev`.
func uvicorn() *source { return indexed("uvicorn", makeUvicorn) }

func makeUvicorn() source {
	return source{
		name: "uvicorn", prefix: "UVICORN_", dashes: "--",
		app: func(m *migration, text string) { m.app = text },
		finish: func(m *migration) {
			bindHost(m)
			if m.values["factory"] != "" && m.app != "" && !strings.HasSuffix(m.app, ")") {
				m.app += "()"
			}
			if m.source.name == "uvicorn" && m.values["no-access-log"] == "" {
				m.add(option{name: "access-log"}, "--access-logfile", "-")
			}
		},
		rules: []rule{
			{"host= port=", "`--bind HOST:PORT`", "the default is 127.0.0.1:8000 too", "по умолчанию тоже 127.0.0.1:8000", hostOrPort},
			{"uds=", "`--bind unix:PATH`", "", "", to("--uds")},
			{"fd=", "`--bind fd://N`", "", "", to("--fd")},
			{"workers=", "`--workers`", "the default is 1, or `WEB_CONCURRENCY`, too", "по умолчанию тоже 1 или `WEB_CONCURRENCY`", to("--workers")},
			{"[no-]reload", "`--reload`", "also with several workers. [reload.md](reload.md)", "и с несколькими воркерами. [reload.md](reload.md)", given("--reload")},
			{"reload-dir= reload-delay=", "`--reload`", "imported files are watched, wherever they are, and a change is noticed at once", "отслеживается то, что импортировано, где бы оно ни лежало; изменение замечается сразу", nothing},
			{"reload-include=", "`--reload-extra-file`", "a file, a pattern or a directory", "файл, шаблон или каталог", to("--reload-extra-file")},
			{"reload-exclude=", "", "files that were not imported are not watched", "не импортированное не отслеживается", nothing},
			{"loop=", "`--asgi-loop`", "auto, asyncio or uvloop", "auto, asyncio или uvloop", to("--asgi-loop")},
			{"http=", "", "HTTP is not parsed in Python", "HTTP разбирает не Python", nothing},
			{"h11-max-incomplete-event-size=", "`--limit-request-head`", "the size of a head, in bytes; there are limits for its parts, too", "размер заголовка в байтах; есть пределы и для его частей", to("--limit-request-head")},
			{"http2", "`--http-protocols h1,h2`", "with TLS; without, see `--http2-cleartext`", "с TLS; без него см. `--http2-cleartext`", set("--http-protocols", "h1,h2")},
			{"ws=", "", "WebSockets are not spoken in Python, and cannot be turned off: [websockets.md](websockets.md)", "и WebSocket обслуживает не Python; отключить его нельзя: [websockets.md](websockets.md)", unless("none")},
			{"ws-max-size=", "`--websocket-max-message-size`", "", "", to("--websocket-max-message-size")},
			{"ws-max-queue=", "", "a client waits while the app does not read", "клиент ждёт, пока приложение не читает", nothing},
			{"ws-ping-interval= ws-ping-timeout=", "`--websocket-ping-interval`, `--websocket-ping-timeout`", "20 seconds, as there", "20 секунд, как и там", pings},
			{"ws-per-message-deflate=", "`--no-websocket-compression`", "on, as there", "сжатие включено, как и там", off("--no-websocket-compression")},
			{"lifespan=", "`--asgi-lifespan`", "", "", to("--asgi-lifespan")},
			{"interface=", "`--worker-class`", "`asgi` or a kind of WSGI; an app is recognized. ASGI 2 is not there", "`asgi` или один из видов для WSGI; вид приложения определяется сам. ASGI 2 нет", to("--interface")},
			{"env-file=", "`--env`", "one variable for each option; or let the service manager read the file", "по одной переменной; или пусть файл читает менеджер служб", nil},
			{"log-config=", "`--log-config`, `--log-config-json`, `logconfig_dict`", "the loggers are `gunicorn.error` and `gunicorn.access`; lines of apps for `uvicorn.error` go to the error log. YAML is not read", "журналы называются `gunicorn.error` и `gunicorn.access`; что приложение пишет в `uvicorn.error`, попадает в журнал ошибок. YAML не читается", logConfig},
			{"log-level=", "`--log-level`", "there is no `trace`", "уровня `trace` нет", logLevel},
			{"[no-]access-log", "`--access-logfile -`", "off by default, and on there", "по умолчанию выключен, а там включён", func(m *migration, o option) {
				if o.negated {
					m.values["no-access-log"] = "yes"
					m.needless(o)
				}
			}},
			{"[no-]use-colors", "", "the log has no colours", "в журнале нет цветов", nothing},
			{"[no-]proxy-headers", "`--forwarded-allow-ips`", "on by default, for the peers of the next option", "включено по умолчанию для адресов из следующего ключа", onOff("--forwarded-allow-ips", "", "")},
			{"forwarded-allow-ips=", "`--forwarded-allow-ips`", "127.0.0.1 and ::1 by default, and unix sockets. The scheme is taken from the headers in `secure_scheme_headers`, the client from `X-Forwarded-For`", "по умолчанию 127.0.0.1, ::1 и unix-сокеты. Схема берётся из заголовков, названных в `secure_scheme_headers`, клиент — из `X-Forwarded-For`", to("--forwarded-allow-ips")},
			{"root-path=", "`--root-path`", "prepended to paths that do not begin with it: also right for proxies that leave it there", "дописывается к путям, которые с него не начинаются: годится и для прокси, которые его оставляют", to("--root-path")},
			{"[no-]server-header", "`--server-header off`", "or a text of your own", "или свой текст", onOff("--server-header", "", "off")},
			{"[no-]date-header", "", "the field `Date` is always sent", "поле `Date` отправляется всегда", sayNo},
			{"header=", "", "fields of responses are the app's to set, or the proxy's", "заголовки ответов ставит приложение или прокси", nil},
			{"limit-concurrency=", "`--worker-connections`, `--queue-limit`", "how many requests a worker may run at once; how many may wait for one before clients get 503", "сколько запросов воркер выполняет сразу; сколько может ждать воркера, прежде чем клиенты получат 503", to("--worker-connections")},
			{"backlog=", "`--backlog`", "", "", to("--backlog")},
			{"limit-max-requests= limit-max-requests-jitter=", "`--max-requests`, `--max-requests-jitter`", "the successor is ready first, and no connection is closed", "сначала готов преемник, соединения не закрываются", maxRequests},
			{"timeout-keep-alive=", "`--keep-alive`", "75 seconds by default, not 5", "по умолчанию 75 секунд, а не 5", to("--keep-alive")},
			{"timeout-graceful-shutdown=", "`--graceful-timeout`", "30 seconds by default, not unlimited", "по умолчанию 30 секунд, а не без предела", to("--graceful-timeout")},
			{"timeout-worker-healthcheck=", "`--timeout`", "how long the event loop may be blocked, 30 seconds by default", "как долго может быть заблокирован цикл событий, по умолчанию 30 секунд", nil},
			{"ssl-keyfile= ssl-certfile= ssl-ca-certs= ssl-ciphers= ssl-cert-reqs=", "`--keyfile`, `--certfile`, `--ca-certs`, `--ciphers`, `--cert-reqs`", "changed files are read without a reload", "изменившиеся файлы перечитываются без перезагрузки", tls},
			{"ssl-keyfile-password=", "", "the key must not be encrypted: `openssl pkey -in OLD -out NEW`", "ключ не должен быть зашифрован: `openssl pkey -in OLD -out NEW`", nil},
			{"ssl-version=", "`--tls-min-version`", "1.2 by default", "по умолчанию 1.2", nil},
			{"app-dir=", "`--pythonpath`", "the current directory is on the path", "текущий каталог есть в пути поиска модулей", to("--pythonpath")},
			{"[no-]factory", "", "a callable without arguments is called, with the option and without; or write the call, which may have arguments: `indrik 'main:create_app()'`", "то, что не принимает аргументов, вызывается и с этим ключом, и без него; или напишите вызов сами, тогда и с аргументами: `indrik 'main:create_app()'`", factory},
			{"reset-contextvars", "", "each request has a context of its own", "у каждого запроса свой контекст", nothing},
		},
	}
}

// hostOrPort keeps a part of an address for the end.
func hostOrPort(m *migration, o option) {
	if o.name == "host" {
		setHost(m, o)
	} else {
		setPort(m, o)
	}
}

// given returns an action for a flag that can be negated: it adds an argument if it is not.
func given(flag string) action {
	return func(m *migration, o option) {
		if o.negated {
			m.needless(o)
		} else {
			m.add(o, flag)
		}
	}
}

// onOff returns an action for a flag that can be negated: it gives an option one of two values;
// an empty one is Indrik's default, except where both are empty.
func onOff(flag, on, off string) action {
	return func(m *migration, o option) {
		value := on
		if o.negated {
			value = off
		}
		if value == "" && (on != off || !o.negated) {
			m.needless(o)
			return
		}
		m.add(o, flag, value)
	}
}

// off returns an action for an option that is on by default: with a false value it adds a flag.
func off(flag string) action {
	return func(m *migration, o option) {
		if isFalse(o.value) || o.negated {
			m.add(o, flag)
		} else {
			m.needless(o)
		}
	}
}

// sayNo says what the page says if the option is negated.
func sayNo(m *migration, o option) {
	if o.negated {
		m.say(o)
	} else {
		m.needless(o)
	}
}

func pings(m *migration, o option) {
	wholeSeconds(map[bool]string{true: "--websocket-ping-timeout", false: "--websocket-ping-interval"}[strings.HasSuffix(o.name, "timeout")])(m, o)
}

func maxRequests(m *migration, o option) {
	to(map[bool]string{true: "--max-requests-jitter", false: "--max-requests"}[strings.HasSuffix(o.name, "jitter")])(m, o)
}

// tls takes the options that have the same names here, but for their beginning.
func tls(m *migration, o option) { m.add(o, "--"+strings.TrimPrefix(o.name, "ssl-"), o.value) }

func logLevel(m *migration, o option) {
	switch strings.ToLower(o.value) {
	case "trace", "notset":
		m.add(o, "--log-level", "debug")
	case "warn":
		m.add(o, "--log-level", "warning")
	default:
		m.add(o, "--log-level", strings.ToLower(o.value))
	}
}

func logConfig(m *migration, o option) {
	switch {
	case strings.HasSuffix(o.value, ".json"):
		m.add(o, "--log-config-json", strings.TrimPrefix(o.value, "json:"))
	case strings.HasSuffix(o.value, ".yaml"), strings.HasSuffix(o.value, ".yml"), strings.HasPrefix(o.value, "toml:"):
		m.say(o)
	default:
		m.add(o, "--log-config", o.value)
	}
}

func factory(m *migration, o option) {
	if !o.negated {
		m.values["factory"] = "yes"
		m.needless(o)
	}
}
