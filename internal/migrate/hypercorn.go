package migrate

import "strings"

// hypercorn has the options of Hypercorn 0.18, and the names that only its config files have.
func hypercorn() *source { return indexed("hypercorn", makeHypercorn) }

func makeHypercorn() source {
	return source{
		name: "Hypercorn", dashes: "--",
		app: func(m *migration, text string) {
			if kind, app, ok := strings.Cut(text, ":"); ok && strings.Contains(app, ":") && (kind == "asgi" || kind == "wsgi") {
				text = app
			}
			m.app = appDefault(text)
		},
		shorts: map[string]string{"-b": "bind", "-c": "config", "-D": "daemon", "-g": "group", "-k": "worker-class", "-p": "pid", "-m": "umask", "-u": "user", "-w": "workers"},
		rules: []rule{
			{"bind= workers= backlog= certfile= keyfile= ca-certs= ciphers= root-path= max-requests= max-requests-jitter= statsd-host= statsd-prefix= dogstatsd_tags=", "=", "the default is 127.0.0.1:8000 too. `fd://N` and `unix:PATH` as there", "по умолчанию тоже 127.0.0.1:8000. `fd://N` и `unix:PATH` пишутся так же", same},
			{"access-logfile= error-logfile= log-file= access-log= error-log= log-level= accesslog= errorlog= loglevel=", "`--access-logfile`, `--error-logfile`, `--log-level`", "", "", hypercornLogs},
			{"access-logformat= access_log_format=", "`--access-logformat`", "with Gunicorn's atoms, which those are", "с подстановками Gunicorn: там они те же", to("--access-logformat")},
			{"log-config= logconfig=", "`--log-config`, `--log-config-json`", "TOML is not read", "TOML не читается", logConfig},
			{"graceful-timeout= graceful_timeout=", "`--graceful-timeout`", "30 seconds by default, not 3", "по умолчанию 30 секунд, а не 3", wholeSeconds("--graceful-timeout")},
			{"keep-alive= keep_alive_timeout=", "`--keep-alive`", "75 seconds by default, not 5", "по умолчанию 75 секунд, а не 5", wholeSeconds("--keep-alive")},
			{"worker-class=", "`--asgi-loop`", "`asyncio` or `uvloop`; trio is not there", "`asyncio` или `uvloop`; trio нет", hypercornLoop},
			{"reload use_reloader", "`--reload`", "", "", set("--reload")},
			{"daemon", "", "`--daemon` puts the server into the background; there it is about the workers", "`--daemon` уводит сервер в фон; там это свойство воркеров", nothing},
			{"debug", "`--log-level debug`", "", "", set("--log-level", "debug")},
			{"pid= pid_path=", "`--pid`", "", "", to("--pid")},
			{"user= group= umask=", "`--umask`", "these are of unix sockets there. `--user` and `--group` are those of the workers here", "там это относится к unix-сокетам. `--user` и `--group` здесь — пользователь и группа воркеров", hypercornOwner},
			{"websocket-ping-interval= websocket_ping_interval=", "`--websocket-ping-interval`", "20 seconds by default, not off", "по умолчанию 20 секунд, а не выключено", wholeSeconds("--websocket-ping-interval")},
			{"websocket_max_message_size=", "`--websocket-max-message-size`", "", "", to("--websocket-max-message-size")},
			{"cert-reqs= verify-mode= verify_mode=", "`--cert-reqs`", "0, 1 or 2", "0, 1 или 2", verifyMode},
			{"verify_flags=", "", "there are no such flags", "таких флагов нет", nil},
			{"keyfile-password= keyfile_password=", "", "the key must not be encrypted: `openssl pkey -in OLD -out NEW`", "ключ не должен быть зашифрован: `openssl pkey -in OLD -out NEW`", nil},
			{"read-timeout= read_timeout=", "`--header-timeout`, `--body-timeout`, `--body-min-rate`", "how long a client may take for each part of a request", "сколько времени есть у клиента на каждую часть запроса", wholeSeconds("--header-timeout")},
			{"wsgi-max-body-size= wsgi_max_body_size=", "`--limit-request-body`", "", "", to("--limit-request-body")},
			{"insecure-bind= insecure_bind= quic-bind= quic_bind= alt_svc_headers=", "", "all addresses speak TLS or none: let a second server or the proxy redirect; there is no HTTP/3", "TLS есть у всех адресов или ни у одного: перенаправляет второй сервер или прокси; HTTP/3 нет", nil},
			{"server-name= server_names=", "", "which hosts are served is for the app or the proxy to decide", "имена хостов — дело приложения или прокси", nil},
			{"config=", "", "a file in TOML is read: `indrik migrate FILE`; one in Python has to be rewritten", "файл TOML читает `indrik migrate FILE`; файл Python надо переписать", nil},
			{"alpn_protocols=", "`--http-protocols`", "`h1,h2` is the default there", "там по умолчанию `h1,h2`", nil},
			{"h2_max_concurrent_streams= h2_max_header_list_size= h2_max_inbound_frame_size=", "`--http2-max-concurrent-streams`, `--http2-max-header-list-size`, `--http2-max-frame-size`", "", "", http2Limits},
			{"h11_max_incomplete_size=", "`--limit-request-head`", "the size of a head, in bytes", "размер заголовка в байтах", to("--limit-request-head")},
			{"h11_pass_raw_headers=", "", "apps get names in lower case, as ASGI says", "приложение получает имена в нижнем регистре, как велит ASGI", nil},
			{"include_server_header=", "`--server-header off`", "", "", offValue("--server-header", "off")},
			{"include_date_header=", "", "the field `Date` is always sent", "поле `Date` отправляется всегда", offSay},
			{"max_app_queue_size= keep_alive_max_requests= ssl_handshake_timeout= startup_timeout= shutdown_timeout=", "", "bounded without a setting, or see `--handshake-timeout`, `--graceful-timeout`", "ограничено без настройки, или см. `--handshake-timeout`, `--graceful-timeout`", nil},
			{"logger_class= logconfig_dict=", "`logger_class`, `logconfig_dict`", "in a config file in Python; the classes are Gunicorn's", "в файле настроек на Python; классы — от Gunicorn", nil},
		},
	}
}

// appDefault names the variable that Hypercorn and Granian take where none is named.
func appDefault(text string) string {
	text = strings.TrimSuffix(text, ".py")
	if !strings.Contains(text, ":") {
		text += ":app"
	}
	return text
}

// same takes an option that is called as here.
func same(m *migration, o option) {
	m.add(o, "--"+strings.ReplaceAll(o.name, "_", "-"), o.value)
}

func hypercornLogs(m *migration, o option) {
	flag := map[string]string{"log-file": "error-logfile", "access-log": "access-logfile", "error-log": "error-logfile", "accesslog": "access-logfile", "errorlog": "error-logfile", "loglevel": "log-level"}[o.name]
	if flag == "" {
		flag = o.name
	}
	if flag == "log-level" {
		logLevel(m, o)
		return
	}
	m.add(o, "--"+flag, o.value)
}

func hypercornLoop(m *migration, o option) {
	if o.value == "asyncio" || o.value == "uvloop" {
		m.add(o, "--asgi-loop", o.value)
	} else {
		m.say(o)
	}
}

func hypercornOwner(m *migration, o option) {
	if o.name == "umask" {
		m.add(o, "--umask", o.value)
	} else {
		m.say(o)
	}
}

// verifyMode takes a member of ssl.VerifyMode by name or number.
func verifyMode(m *migration, o option) {
	name := o.value[strings.LastIndexByte(o.value, '.')+1:]
	if n, ok := map[string]string{"CERT_NONE": "0", "CERT_OPTIONAL": "1", "CERT_REQUIRED": "2"}[strings.ToUpper(name)]; ok {
		name = n
	}
	m.add(o, "--cert-reqs", name)
}

func http2Limits(m *migration, o option) {
	m.add(o, map[string]string{
		"h2_max_concurrent_streams": "--http2-max-concurrent-streams", "h2_max_header_list_size": "--http2-max-header-list-size",
		"h2_max_inbound_frame_size": "--http2-max-frame-size",
	}[o.name], o.value)
}

// offValue returns an action for an option that is on by default: with a false value an option
// gets another.
func offValue(flag, value string) action {
	return func(m *migration, o option) {
		if isFalse(o.value) {
			m.add(o, flag, value)
		} else {
			m.needless(o)
		}
	}
}

// offSay says what the page says if the value is false.
func offSay(m *migration, o option) {
	if isFalse(o.value) {
		m.say(o)
	} else {
		m.needless(o)
	}
}
