package migrate

// Notes that several rules have.
const (
	supervisor   = "not there: systemd, a scheduler, a task queue"
	supervisorRu = "нет: для этого есть systemd, планировщик, очередь задач"
	proxyDoes    = "for the proxy, or the app"
	proxyDoesRu  = "дело прокси или приложения"
	itself       = "the server does that without an option"
	itselfRu     = "сервер ведёт себя так и без ключа"
)

// uwsgiRules are those with an equivalent, and those that files of projects often have.
func uwsgiRules() []rule {
	return []rule{
		{"http= http-socket= http11-socket=", "`--bind`", "", "", listenOn("http")},
		{"https= https-socket= https2=", "`--bind`, `--certfile`, `--keyfile`, `--ciphers`, `--ca-certs`", "the parts behind the address", "то, что стоит за адресом", listenOn("https")},
		{"socket=", "`--bind uwsgi://ADDRESS`", "or HTTP, which carries WebSockets as well", "или HTTP, по которому идут и WebSocket", listenOn("")},
		{"uwsgi-socket= fastcgi-socket= scgi-socket=", "`--bind uwsgi://ADDRESS`, `--bind fastcgi://ADDRESS`, `--bind scgi://ADDRESS`", "", "", func(m *migration, o option) {
			listenOn(o.name[:len(o.name)-len("-socket")])(m, o)
		}},
		{"protocol= socket-protocol=", "`--protocol`", "or before each address", "или перед каждым адресом", func(m *migration, o option) { m.values["protocol"] = o.value; m.needless(o) }},
		{"chmod-socket=? chmod=?", "`--umask`", "the bits to take away: `--umask 007` for mode 770", "какие права отнять: `--umask 007` для прав 770", func(m *migration, o option) {
			if o.given && o.value != "true" {
				socketMode(m, o)
			} else {
				o.value = "666"
				socketMode(m, o)
			}
		}},
		{"chown-socket=", "`--umask`", "a unix socket is its server's: give the proxy's user its group", "unix-сокет принадлежит серверу: добавьте пользователя прокси в его группу", nil},
		{"master", "", "there is always one", "он есть всегда", nothing},
		{"processes= workers=", "`--workers`", "`auto` for `%k`", "`auto` вместо `%k`", count("--workers")},
		{"threads=", "`--threads`", "", "", count("--threads")},
		{"gevent=", "`--worker-class gevent`, `--worker-connections`", "", "", func(m *migration, o option) {
			m.add(o, "--worker-class", "gevent", "--worker-connections", o.value)
		}},
		{"async=", "`--worker-class gevent`", "other loops: `asgi` for asyncio", "другие циклы: `asgi` для asyncio", nil},
		{"gevent-monkey-patch gevent-early-monkey-patch", "", "gevent workers are always patched", "воркеры gevent всегда пропатчены", nothing},
		{"module= wsgi=", "`wsgi_app`", "or the argument `module:variable`", "или аргумент `module:variable`", keep("module")},
		{"wsgi-file= file=", "`wsgi_app`", "by the name of its module", "по имени модуля", keep("wsgi-file")},
		{"callable=", "`wsgi_app`", "behind the colon", "после двоеточия", keep("callable")},
		{"mount=", "`--env SCRIPT_NAME=/PREFIX`", "one app for each server", "одно приложение на сервер", mountPoint},
		{"manage-script-name", "", "`SCRIPT_NAME` is taken off paths that begin with it", "`SCRIPT_NAME` убирается из путей, которые с него начинаются", nothing},
		{"paste= ini-paste= ini-paste-logged=", "`--paste`", "", "", func(m *migration, o option) { m.add(o, "--paste", o.value) }},
		{"chdir=", "`--chdir`", "", "", chdir},
		{"pythonpath= python-path= pp=", "`--pythonpath`", "", "", to("--pythonpath")},
		{"virtualenv= home= venv= pyhome=", "", "`INDRIK_PYTHON`, otherwise the environment that the binary is in, otherwise the active one: [configuration.md](configuration.md#which-python)", "`INDRIK_PYTHON`, иначе окружение, в котором лежит программа, иначе активное: [configuration.md](configuration.md#which-python)", virtualenv},
		{"lazy-apps lazy", "", "is the default here; `--preload` is what uWSGI does without it", "здесь так по умолчанию; что uWSGI делает без него, делает `--preload`", lazy},
		{"env=", "`--env`", "", "", to("--env")},
		{"uid= gid=", "`--user`, `--group`", "", "", func(m *migration, o option) {
			m.add(o, map[string]string{"uid": "--user", "gid": "--group"}[o.name], o.value)
		}},
		{"add-gid= no-initgroups", "`--initgroups`", "", "", nil},
		{"umask=", "`--umask`", "", "", to("--umask")},
		{"pidfile= pidfile2= safe-pidfile= safe-pidfile2=", "`--pid`", "", "", to("--pid")},
		{"daemonize= daemonize2=", "`--daemon`, `--error-logfile`", "`daemonize` names a log", "`daemonize` называет журнал", daemonize},
		{"logto= logto2= logger=", "`--error-logfile`", "", "", fileLog("--error-logfile")},
		{"req-logger=", "`--access-logfile`", "", "", fileLog("--access-logfile")},
		{"disable-logging", "`--access-logfile`", "there is no access log unless a setting asks for one, and uWSGI has one unless this does", "журнала доступа нет, пока его не попросят, а у uWSGI он есть без этого ключа", func(m *migration, o option) {
			m.values["no requests"] = "yes"
			m.needless(o)
		}},
		{"log-format= logformat=", "`--access-logformat`", "with Gunicorn's atoms", "с подстановками Gunicorn", nil},
		{"log-4xx log-5xx log-slow= log-big= log-zero log-ioerror log-sendfile", "`--access-logfile`", "one line for each request: choose from the JSON lines (`--log-format json`)", "строка на каждый запрос: выбирать можно из строк JSON (`--log-format json`)", nil},
		{"log-maxsize= log-backupname= log-reopen log-truncate touch-logreopen= touch-logrotate=", "", "logrotate with USR1, or `indrik reopen`: [logging.md](logging.md)", "logrotate и USR1 либо `indrik reopen`: [logging.md](logging.md)", nil},
		{"log-master log-date=? logdate=? log-x-forwarded-for log-micros log-prefix= threaded-logger logfile-chmod= logfile-chown log-format-strftime logformat-strftime", "", itself, itselfRu, nothing},
		{"log-encoder= log-req-encoder=", "`--log-format json`", "", "", nil},
		{"log-syslog=?", "`--log-syslog`", "", "", set("--log-syslog")},
		{"harakiri=", "`--timeout`", "30 seconds by default. An app can extend it: [workers.md](workers.md)", "по умолчанию 30 секунд. Приложение может его продлить: [workers.md](workers.md)", to("--timeout")},
		{"harakiri-verbose harakiri-no-arh no-harakiri-arh no-harakiri-after-req-hook harakiri-graceful-timeout= harakiri-graceful-signal= harakiri-queue-threshold=", "`--timeout`", "the log has the stacks of the request that ran too long", "в журнале — стеки запроса, который выполнялся слишком долго", nothing},
		{"max-requests= max-requests-delta=", "`--max-requests`, `--max-requests-jitter`", "", "", func(m *migration, o option) {
			m.add(o, map[string]string{"max-requests": "--max-requests", "max-requests-delta": "--max-requests-jitter"}[o.name], o.value)
		}},
		{"worker-reload-mercy= reload-mercy= mule-reload-mercy=", "`--graceful-timeout`", "", "", to("--graceful-timeout")},
		{"listen=", "`--backlog`", "", "", to("--backlog")},
		{"buffer-size= http-buffer-size=", "`--limit-request-head`", "with `--limit-request-line` and `--limit-request-field_size`, each up to 65535", "вместе с `--limit-request-line` и `--limit-request-field_size`, каждый до 65535", headerSize},
		{"max-vars=", "`--limit-request-fields`", "", "", nil},
		{"limit-post=", "`--limit-request-body`", "", "", to("--limit-request-body")},
		{"post-buffering= post-buffering-bufsize= http-raw-body http-chunked-input http-auto-chunked", "", "bodies are always received before the app runs", "тело всегда принимается до того, как начнёт работать приложение", nothing},
		{"http-keepalive=?", "`--keep-alive`", "seconds", "в секундах", secondsOr("--keep-alive", "75")},
		{"add-header= del-header= rem-header= collect-header= pull-header=", "", "fields of responses are the app's to set, or the proxy's", "заголовки ответов ставит приложение или прокси", nil},
		{"http-timeout= socket-timeout= socket-send-timeout= socket-write-timeout= so-send-timeout= so-write-timeout= http-connect-timeout= http-headers-timeout=", "`--header-timeout`, `--body-timeout`, `--write-timeout`", "how long a client may take for each part; the app has `--timeout`", "сколько времени есть у клиента на каждую часть; у приложения — `--timeout`", nil},
		{"http-processes= http-workers=", "", "the front uses half of the processors, or `GOMAXPROCS` of them", "front использует половину процессоров, или столько, сколько задано в `GOMAXPROCS`", nothing},
		{"http-to= http-websockets http-auto-gzip http-use-pattern= http-var= http-to-https=", "", proxyDoes, proxyDoesRu, nil},
		{"enable-proxy-protocol http-enable-proxy-protocol", "`--proxy-protocol`", "", "", set("--proxy-protocol", "auto")},
		{"py-autoreload= py-auto-reload= python-autoreload= python-auto-reload=", "`--reload`", "", "", set("--reload")},
		{"py-auto-reload-ignore=", "", "files that were not imported are not watched", "не импортированное не отслеживается", nothing},
		{"touch-reload= touch-chain-reload= touch-workers-reload= fs-reload=", "", "`indrik reload`, or HUP, in place of touch", "вместо touch — `indrik reload` или HUP", nil},
		{"master-fifo= touch-exec= touch-signal= hook-touch=", "`--control-socket`", "commands wait and say what came of them: [observe.md](observe.md)", "команды ждут и говорят, чем кончилось: [observe.md](observe.md)", nil},
		{"procname= procname-master= auto-procname procname-prefix= procname-prefix-spaced= procname-append=", "`--name`", "", "", processName},
		{"stats= stats-server= stats-http stats-min stats-minified stats-no-cores stats-no-metrics", "`--control-socket`", "`indrik status` and `indrik top` show it; `--admin-bind` has it for Prometheus, `--statsd-host` for statsd: [observe.md](observe.md)", "показывают `indrik status` и `indrik top`; для Prometheus — `--admin-bind`, для statsd — `--statsd-host`: [observe.md](observe.md)", statsSocket},
		{"static-map= static-map2= static-index= static-safe= static-skip-ext= static-gzip-all static-gzip-*= static-expires*= static-check= check-static= check-static-docroot static-cache-paths= static-cache-paths-name= offload-threads= offload-thread= file-serve-mode= fileserve-mode= mime-file= mimefile= honour-range", "", "WhiteNoise in the app, or the proxy", "WhiteNoise в приложении либо прокси", nil},
		{"die-on-term vacuum need-app single-interpreter thunder-lock so-keepalive close-on-exec close-on-exec2 enable-threads no-orphans strict ignore-sigpipe ignore-write-errors disable-write-exception write-errors-exception-only write-errors-tolerance= memory-report=? wsgi-disable-file-wrapper wsgi-env-behaviour= wsgi-env-behavior= wsgi-accept-buffer wsgi-accept-buffers wsgi-strict wsgi-lite py-call-osafterfork py-call-uwsgi-fork-hooks py-tracebacker= no-defer-accept tcp-nodelay plugin= plugins= plugin-dir= plugins-dir= need-plugin= need-plugins= max-fd= no-default-app autoload catch-exceptions master-as-root honour-stdin lock-engine= no-threads-wait skip-atexit skip-atexit-teardown start_response-nodelay backtrace-depth= max-apps= http-manage-expect http-manage-source optimize= use-abort reaper abstract-socket binary-path=", "", itself, itselfRu, nothing},
		{"reuse-port freebind socket-sndbuf= socket-rcvbuf= tcp-fast-open= tcp-fastopen= ssl-option= ssl-enable*= ssl-verify-depth= ssl-verbose ssl-tmp-dir= sni= sni-dir= sni-dir-ciphers=", "", "not there; limits of the kernel: sysctl", "нет; пределы ядра — sysctl", nil},
		{"reload-on-rss= reload-on-as= evil-reload-on-rss= evil-reload-on-as= max-worker-lifetime= max-worker-lifetime-delta= min-worker-lifetime=", "`--max-requests`", "workers are replaced by the number of their requests", "воркеры заменяются по числу запросов", nil},
		{"cheaper= cheaper-* cheap idle= die-on-idle", "`--workers`", "a range: `--workers 2..8`; `0..8` for an idle server without workers", "диапазон: `--workers 2..8`; `0..8` — простаивающий сервер без воркеров", nil},
		{"limit-as= limit-nproc= cgroup= cgroup-*= prio= cpu-affinity= thread-stack-size= threads-stack-size= thread-stacksize= threads-stacksize= never-swap ksm= forkbomb-delay=", "", "the service manager's to set: `MemoryMax=`, `CPUAffinity=`", "задаёт менеджер служб: `MemoryMax=`, `CPUAffinity=`", nil},
		{"chroot= pivot-root= pivot_root= namespace*= ns= ns-net= unshare= unshare2= setns*= jailed", "", "the service manager's to set, or the container's", "задаёт менеджер служб или контейнер", nil},
		{"emperor* vassal* imperial-* early-emperor zerg* attach-daemon*= attach-control-daemon= smart-attach-daemon*= cron= cron2= cron-* unique-cron= unique-cron-legion= unique-legion-cron= timer= rbtimer= mule= mules= mule-*= farm= spooler= spooler-*= signal*= queue= queue-*= worker-exec= worker-exec2= rpc-max= sharedarea= py-sharedarea= locks= ftok= persistent-ipcsem namespace-*= legion* pump= loop= crons=", "", supervisor, supervisorRu, nil},
		{"cache= cache2= cache-* check-cache= add-cache-item= load-file-in-cache= load-file-in-cache-gzip=", "", "not there: Redis or memcached", "нет: для этого есть Redis или memcached", nil},
		{"import= py-import= python-import= pyimport= shared-import= shared-py-import= shared-python-import= shared-pyimport= py-run= pyrun= exec-*= call-*= hook-*= after-request-hook= after-request-call= symcall*= eval= python-worker-override= py-executable= py-sys-executable= py-program-name= py-programname= pymodule-alias= post-pymodule-alias= pyargv= profiler= python-raw=", "`on_starting`, `post_fork`, `post_worker_init`", "hooks of the config file: [hooks.md](hooks.md)", "хуки в файле настроек: [hooks.md](hooks.md)", nil},
		{"set= set-ph= set-placeholder= declare-option= declare-option2= inherit= include= ini= config= yaml= yml= json= xml= xmlconfig= config-py=", "", "files in INI, YAML and JSON are read, with what they include; XML is not", "файлы INI, YAML и JSON читаются вместе с тем, что они включают; XML — нет", uwsgiInclude},
		{"if-* ifenv= ifexists= ifdir= ifplugin= endif end-if for= for-* endfor end-for", "", "a config file is Python: `if os.environ.get(\"NAME\"):`", "файл настроек — это Python: `if os.environ.get(\"NAME\"):`", nil},
	}
}

// uwsgiGroups are the options of parts of uWSGI that are not there, by what they begin with.
func uwsgiGroups() []rule {
	return []rule{
		{"route route-* error-route= final-route= response-route= http-* https-* fastrouter* rawrouter* sslrouter* httprouter* subscri* subscribe* unsubscribe-on-graceful-reload start-unsubscribed= weight= auto-weight resubscribe*", "", "the parts of uWSGI that route, between servers and within one, are not there: nginx, HAProxy, Caddy", "маршрутизации uWSGI нет: для этого есть nginx, HAProxy, Caddy", nil},
		{"carbon* dogstatsd* snmp* stats-* metric* enable-metrics rrdtool* nagios alarm* alarms-list log-alarm= segfault-alarm= backlog-alarm= lq-alarm= listen-queue-alarm= clock* mem-collector-freq= upload-progress= heartbeat= notify-socket=", "`--admin-bind`", "metrics are Prometheus's and statsd's: [observe.md](observe.md)", "метрики — для Prometheus и statsd: [observe.md](observe.md)", nil},
		{"shared-socket= undeferred-shared-socket= map-socket= raw-socket= raw-modifier1= raw-modifier2= suwsgi-socket= ssl-socket= puwsgi-socket= fastcgi-nph-socket= scgi-nph-socket= fastcgi-modifier*= scgi-modifier*= udp= multicast* remap-modifier= allowed-modifiers= log-socket= connect-and-read= resolve= no-fd-passing tcp-fast-open-client tcp-fastopen-client", "`--bind`", "HTTP, uwsgi, FastCGI and SCGI, over TCP and unix sockets", "HTTP, uwsgi, FastCGI и SCGI, по TCP и unix-сокетам", nil},
		{"mount-* umount-* wait-for-* wait-iface* wait-interface* envdir= early-envdir= immediate-uid= immediate-gid= drop-after-init drop-after-apps unprivileged-binary-patch* privileged-binary-patch* re-fork* refork* binsh= flock*= unenv= chdir2= daemons-honour-stdin", "", "the service manager's to set: `RequiresMountsFor=`, `EnvironmentFile=`, `User=`", "задаёт менеджер служб: `RequiresMountsFor=`, `EnvironmentFile=`, `User=`", nil},
		{"reload= stop= suspend= pause= resume= signal= ping= ping-timeout= show-config dump-options print= print-sym= print-symbol= iprint= get= extract= exit test no-server build-plugin= cflags dot-h command-mode plugin-list plugins-list logger-list loggers-list loop-list loops-list python-version log-master-stream log-master-req-stream log-master-bufsize= fallback-config= exit-on-reload shutdown-sockets propagate-touch", "`indrik status`, `indrik reload`, `indrik stop`", "commands: [observe.md](observe.md)", "команды: [observe.md](observe.md)", nil},
		{"worker-mount= reload-on-exception* exception-handler= reload-os-env py= python= pyshell pyshell-oneshot vhost vhost-host pecan= web3= st= no-site paste-logger gevent-wait-for-hub ignore-script-name ugreen ugreen-stacksize= fs-brutal-reload= fs-signal= brutal-reload-on-fd= reload-on-fd= touch-mules-reload= touch-spoolers-reload=", "", "of uWSGI's ways to load and reload apps: the app is one module, and `indrik reload` loads it anew", "способы uWSGI загружать приложения: здесь приложение — один модуль, а `indrik reload` загружает его заново", nil},
		{"check-mount* mountpoint-check= check-interval= chunked-input-* body-read-warning= response-header* error-page-*= disable-sendfile logger-req= rsyslog-* safe-fd= fd-safe= skip-zero inject-*= blacklist= end-blacklist whitelist= end-whitelist binary-append-data= dlopen= file-write= force-cwd= force-gateway cgi-mode mode=", "", "of uWSGI's inside", "внутреннее устройство uWSGI", nil},
		{"websocket* websockets*", "`--worker-class asgi`", "or a package such as Flask-Sock; `uwsgi.websocket_recv()` and the like are not there: [websockets.md](websockets.md)", "или пакет вроде Flask-Sock; функций вроде `uwsgi.websocket_recv()` нет: [websockets.md](websockets.md)", nil},
	}
}

func virtualenv(m *migration, o option) {
	m.remark(o.String(), "start with INDRIK_PYTHON="+o.value+"/bin/python in the environment, or with that environment active")
}

func processName(m *migration, o option) {
	switch o.name {
	case "procname", "procname-master", "procname-prefix", "procname-prefix-spaced":
		m.add(o, "--name", o.value)
	default:
		m.needless(o)
	}
}

func statsSocket(m *migration, o option) {
	if o.name == "stats" || o.name == "stats-server" {
		m.say(o)
	} else {
		m.needless(o)
	}
}
