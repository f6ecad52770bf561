package main

import (
	"fmt"
	"time"

	"indrik/bench/load"
)

// allWorkloads are all that can be measured, in the order in which it is done: what the first
// goals are about comes before the rest, so that a run that is cut short has it.
var allWorkloads = []workload{
	{
		Name: "checks", Title: "Checks", WSGI: "checks", ASGI: "hello_asgi", Table: checking, Goal: true, Short: true, Most: 1, Run: runChecks,
		Setup: func(s *setup) { s.Brief = true },
		Text: "What a server has to do that takes time, or room, and shows in no figure. **close()**: PEP 3333 has the server call close() of each " +
			"response. Frameworks end their requests there: Flask runs what was registered for it, Django sends request_finished, which gives back " +
			"database connections. **chunked**: a request whose body comes in chunks reaches the app whole. **keep-alive**: a connection is kept for " +
			"1100 requests. **idle limit**: a connection that does nothing is closed, 5 s after its last answer at the latest, where the time " +
			"for it can be set to 1 s.",
	},
	{
		Name: "hello", Title: "Hello, WSGI", WSGI: "hello", Table: throughput, Goal: true, Short: true, Chart: chartRate,
		Text: "64 clients, each on a connection that it keeps.", Groups: get(64, "/", hello),
	},
	{
		Name: "asgi", Title: "Hello, ASGI", ASGI: "hello_asgi", Table: throughput, Goal: true, Short: true, Chart: chartRate,
		Text: "64 clients, each on a connection that it keeps.", Groups: get(64, "/", hello),
	},
	framework("flask", "Flask", "flask_app", wsgi, true),
	framework("django", "Django", "django_app", wsgi, false),
	framework("fastapi", "FastAPI", "fastapi_app", asgi, true),
	framework("litestar", "Litestar", "litestar_app", asgi, false),
	{
		Name: "10k", Title: "10 KB response, WSGI", WSGI: "hello", Table: throughput, Goal: true, Most: 2,
		Text: keptAlive, Groups: get(64, "/10k", tenKilobytes),
	},
	{
		Name: "asgi-10k", Title: "10 KB response, ASGI", ASGI: "hello_asgi", Table: throughput, Goal: true, Most: 2,
		Text: keptAlive, Groups: get(64, "/10k", tenKilobytes),
	},
	{
		Name: "file", Title: "50 KB file, wsgi.file_wrapper", WSGI: "hello", Table: throughput, Goal: true, Most: 2,
		Text: keptAlive, Groups: get(64, "/file", fileContent),
	},
	{
		Name: "echo-1m", Title: "1 MB POST, echoed, WSGI", WSGI: "hello", Table: throughput, Goal: true, Most: 2, Chart: chartRate,
		Text: "16 clients, keep-alive.", Groups: echo(16, megabyte),
	},
	{
		Name: "asgi-echo-1m", Title: "1 MB POST, echoed, ASGI", ASGI: "hello_asgi", Table: throughput, Goal: true, Most: 2,
		Text: "16 clients, keep-alive.", Groups: echo(16, megabyte),
	},
	half("hello-half", "hello", "Hello, WSGI", wsgi, "hello", false),
	half("asgi-half", "asgi", "Hello, ASGI", asgi, "hello_asgi", false),
	half("flask-half", "flask", "JSON from Flask", wsgi, "flask_app", true),
	half("fastapi-half", "fastapi", "JSON from FastAPI", asgi, "fastapi_app", false),
	{
		Name: "wakeups", Title: "Wake-ups of an idle server", WSGI: "hello", ASGI: "hello_asgi", Table: waking, Goal: true, Most: 1, Run: runWakeUps,
		Text: fmt.Sprintf("In how many moments of %v of a second a thread of the server wakes up, for %v from %v after the last request. "+
			"No client has a connection.", wakeUpsMoment, wakeUpsLength, wakeUpsSettle),
	},
	{
		Name: "reload", Title: "Reload under load", WSGI: "slow_import", ASGI: "slow_import_asgi", Lengths: 3, AtLeast: 3 * time.Second,
		Table: reloading, Goal: true, Short: true, Needs: []ability{reloads}, Run: runReload, Most: 2,
		Text: "HUP, with an app that takes 1 s to import; 16 clients on keep-alive connections and 4 with a connection for each " +
			"request, each with a pause of 5 ms after an answer. A request is lost if it does not get a complete and correct answer. " +
			"Times are from HUP to the first answer of a new process, and to the last of an old one.",
		Groups: []load.Group{
			{Name: "keep-alive", Clients: 16, Request: request("GET", "/", nil, false), Want: hello, Pause: 5 * time.Millisecond},
			{Name: "one-shot", Clients: 4, Request: request("GET", "/", nil, true), Want: hello, OneShot: true, Pause: 5 * time.Millisecond},
		},
	},

	{
		Name: "hello-oneshot", Title: "Hello, WSGI, a connection for each request", WSGI: "hello", Table: throughput,
		Text: "16 clients; each request says `Connection: close`.", Groups: once(16, "/", hello),
	},
	{
		Name: "asgi-oneshot", Title: "Hello, ASGI, a connection for each request", ASGI: "hello_asgi", Table: throughput,
		Text: "16 clients; each request says `Connection: close`.", Groups: once(16, "/", hello),
	},
	{
		Name: "hello-one", Title: "Hello, WSGI, a single client", WSGI: "hello", Table: latency,
		Text: "One client: what a request takes when nothing else happens.", Groups: get(1, "/", hello),
	},
	{
		Name: "asgi-one", Title: "Hello, ASGI, a single client", ASGI: "hello_asgi", Table: latency,
		Text: "One client: what a request takes when nothing else happens.", Groups: get(1, "/", hello),
	},
	{
		Name: "https", Title: "Hello by HTTPS", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{encrypts},
		Text:  "64 clients, keep-alive, TLS 1.3. The clients take more of the machine than the others do.",
		Setup: withTLS, Run: runTLS,
	},
	{
		Name: "http2", Title: "Hello by HTTP/2", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{http2}, Short: true,
		Text:  "16 connections with TLS, 8 streams on each; the clients are those of h2load.",
		Setup: withHTTP2, Run: (&h2load{connections: 16, streams: 8, path: "/", want: hello}).measure, Chart: chartRate,
	},
	{
		Name: "http2-1m", Title: "1 MB response by HTTP/2", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{http2},
		Text:  "4 connections with TLS, 4 streams on each, with windows of 4 MiB for a stream and 16 for a connection; the clients are those of h2load.",
		Setup: withHTTP2, Run: (&h2load{connections: 4, streams: 4, path: "/1m", window: 22, want: megabyte}).measure,
	},
	{
		Name: "sse", Title: "Server-sent events by HTTPS", ASGI: "hello_asgi", Table: latency, Needs: []ability{encrypts}, Lengths: 2,
		Text:  eventsText + "by HTTP/1.1, on 100 connections with TLS. " + eventsTime,
		Setup: withTLS, Run: runEvents(false),
	},
	{
		Name: "http2-sse", Title: "Server-sent events by HTTP/2", ASGI: "hello_asgi", Table: latency, Needs: []ability{http2}, Lengths: 2,
		Text:  eventsText + "on one connection with TLS. " + eventsTime,
		Setup: withHTTP2, Run: runEvents(true),
	},
	mixed("mixed", "a quarter", 2),
	{
		Name: "sleep-512", Title: "10 ms sleep, WSGI, 512 clients", WSGI: "hello", Table: throughput,
		Text: fmt.Sprintf("The app sleeps for 10 ms. %d threads a worker, where there are threads: %d requests/s at most.",
			sleeperThreads, workers*sleeperThreads*100),
		Groups: get(512, "/sleep", hello), Needs: []ability{overlaps}, Slots: true, Setup: func(s *setup) { s.Threads = sleeperThreads },
	},
	{
		Name: "asgi-sleep-512", Title: "10 ms sleep, ASGI, 512 clients", ASGI: "hello_asgi", Table: throughput,
		Text: "The app awaits a timer of 10 ms.", Groups: get(512, "/sleep", hello),
	},
	{
		Name: "pool-1k", Title: "Calls of a pool, 1 KB", WSGI: "pooled", Table: latency, Needs: []ability{pools}, Short: true,
		Text:   "One client; the app calls a worker of a pool ten times for each request, with a kilobyte that comes back.",
		Groups: get(1, "/1k", hello), Setup: pooled(1),
	},
	{
		Name: "pool-1m", Title: "Calls of a pool, 1 MB", WSGI: "pooled", Table: latency, Needs: []ability{pools},
		Text:   "As before, with a megabyte.",
		Groups: get(1, "/1m", hello), Setup: pooled(1),
	},
	{
		Name: "pool-stream", Title: "A stream of a pool, 1000 parts", WSGI: "pooled", Table: latency, Needs: []ability{pools},
		Text:   "One client; for each request the app reads a stream of 1000 parts, each a text of 8 bytes.",
		Groups: get(1, "/stream", hello), Setup: pooled(1),
	},
	{
		Name: "pool-parallel", Title: "Calls of a pool, 100 at once", WSGI: "pooled", Table: throughput, Needs: []ability{pools}, AtLeast: 2 * time.Second,
		Text:   "100 clients; for each request a worker of a pool sleeps for 10 ms. The pool has 2 workers of 50 threads: 10000 calls/s at most.",
		Groups: get(100, "/sleep", hello),
		Setup:  func(s *setup) { s.Pooled, s.Threads = 50, 50 },
	},
	{
		Name: "start", Title: "From start to first answer", WSGI: "hello", ASGI: "hello_asgi", Table: starting, Short: true,
		Text: "One worker, hello: from exec to the last byte of the first right answer.", Needs: []ability{scales},
		Setup: func(s *setup) { s.Workers = 1 }, Run: runStart, Chart: chartStart,
	},
	{
		Name: "memory", Title: "Memory", WSGI: "hello", ASGI: "hello_asgi", Table: memory, Needs: []ability{scales}, Run: runMemory, Most: 1,
		Text: "Hello. PSS (the memory that a process has for itself, and its share of the memory that it shares) of all processes of the server with 2 workers; and what each additional worker takes: the difference between 6 and 2 workers, divided by 4.",
	},
	{
		Name: "idle", Title: "10 000 idle connections", WSGI: "hello", ASGI: "hello_asgi", Table: idle, Needs: []ability{holds}, Run: runIdle, Most: 1,
		Text:  "Each has had one answer; keep-alive of 75 s where that can be set. PSS of the server with and without them; memory of the kernel is not included.",
		Setup: func(s *setup) { s.Idle = true },
	},
	{
		Name: "memory-preload", Title: "Memory, Flask, preloaded", WSGI: "flask_app", Table: memory, Needs: []ability{scales, preloads},
		Text: "As before, with Flask, and the app imported once, before the workers are forked.", Run: runMemory, Most: 1,
		Setup: func(s *setup) { s.Preload = true },
	},
	{
		Name: "slow-clients", Title: "Hello, WSGI, beside slow clients", WSGI: "hello", Table: latency, Lengths: 2, AtLeast: 2 * time.Second,
		Text: "16 clients send their request byte by byte, in a second and a half; 16 others ask for hello, keep-alive. Latencies are those of the others.",
		Groups: []load.Group{
			{Name: "hello", Clients: 16, Request: request("GET", "/", nil, false), Want: hello},
			{Name: "slow", Clients: 16, Request: request("GET", "/", nil, false), Want: hello, Trickle: 18 * time.Millisecond},
		},
	},
	{
		Name: "websocket", Title: "WebSocket, messages echoed", ASGI: "hello_asgi", Table: throughput, Needs: []ability{sockets}, Chart: chartRate,
		Text: "64 clients; each sends a message of 64 bytes when the one before has come back.", Run: runWebSocket,
	},
}
