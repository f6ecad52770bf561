package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"indrik/bench/load"
)

// workload is what is done to a server. The first of its groups of clients is
// the one that the latencies in the table are those of.
type workload struct {
	Name, Title, Text string
	// Modules of the app, for the two interfaces; "": not for those servers.
	WSGI, ASGI string
	Groups     []load.Group
	Table      table
	// Lengths of the measurement, in units of -duration, and the least it must
	// be to show what it is about. 0 is 1.
	Lengths int
	AtLeast time.Duration
	// Needs is what a server must be able to do.
	Needs []ability
	// Slots: it is for servers that run several requests in a worker, or for
	// those of one; nil: all, but not those that are there for Slots only.
	Slots bool
	// Setup changes how the server is started.
	Setup func(*setup)
	// Run does it. nil is runLoad.
	Run func(ctx context.Context, b *bed) (*run, error)
	// Short: it is part of the short form.
	Short bool
	// Long: one run takes many seconds.
	Long bool
	// Once: it comes out the same in each round.
	Once bool
	// Ends: the app does a part of its work when the server calls close() of the
	// response.
	Ends bool
	// Apart: its figures in docs may be those of a later run of its own.
	Apart bool
	// Chart: what its figure in docs shows; "": it has none.
	Chart chart
}

// hupAfter is when, from the start of the measurement, a server is told to
// reload.
const hupAfter = 300 * time.Millisecond

// timeout is what a client's patience is: longer than any wait that is not a
// fault, short enough to end a run.
const timeout = 5 * time.Second

// openRate is the rate of the open loop, in requests a second: what the slowest
// of the servers can do without falling behind.
const openRate = 3000

var (
	hello        = []byte("Hello, World!\n")
	tenKilobytes = bytes.Repeat([]byte("0123456789abcdef"), 640)
	megabyte     = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	fileContent  = bytes.Repeat([]byte("0123456789abcdef"), 50<<10/16)
	flaskJSON    = []byte("{\"message\":\"Hello, World!\"}\n")
	fastapiJSON  = []byte(`{"message":"Hello, World!"}`)
)

var allWorkloads = []workload{
	{
		Name: "hello", Title: "Hello, WSGI", WSGI: "hello", Table: throughput, Short: true, Chart: chartRate,
		Text: "64 clients, each on a connection that it keeps.", Groups: get(64, "/", hello),
	},
	{
		Name: "hello-oneshot", Title: "Hello, WSGI, a connection for each request", WSGI: "hello", Table: throughput, Short: true,
		Text: "16 clients; each request says `Connection: close`.", Groups: once(16, "/", hello),
	},
	{
		Name: "hello-open", Title: "Hello, WSGI, at a fixed rate", WSGI: "hello", Table: latency, Chart: chartP99,
		Text: openText, Groups: open(64, "/", hello), Lengths: 2,
	},
	{
		Name: "hello-one", Title: "Hello, WSGI, a single client", WSGI: "hello", Table: latency,
		Text: "One client: what a request takes when nothing else happens.", Groups: get(1, "/", hello),
	},
	{
		Name: "10k", Title: "10 KB response, WSGI", WSGI: "hello", Table: throughput, Short: true,
		Text: "64 clients, keep-alive.", Groups: get(64, "/10k", tenKilobytes),
	},
	{
		Name: "echo", Title: "10 KB POST, echoed, WSGI", WSGI: "hello", Table: throughput, Short: true,
		Text: "64 clients, keep-alive.", Groups: echo(64, tenKilobytes),
	},
	{
		Name: "echo-1m", Title: "1 MB POST, echoed, WSGI", WSGI: "hello", Table: throughput, Chart: chartRate,
		Text: "16 clients, keep-alive.", Groups: echo(16, megabyte),
	},
	{
		Name: "file", Title: "50 KB file, wsgi.file_wrapper", WSGI: "hello", Table: throughput,
		Text: "64 clients, keep-alive.", Groups: get(64, "/file", fileContent),
	},
	{
		Name: "flask", Title: "JSON from Flask", WSGI: "flask_app", Table: throughput, Short: true, Chart: chartRate,
		Text: "64 clients, keep-alive.", Groups: get(64, "/", flaskJSON), Ends: true,
	},
	{
		Name: "django", Title: "Hello from Django", WSGI: "django_app", Table: throughput, Short: true, Chart: chartRate,
		Text: "64 clients, keep-alive.", Groups: get(64, "/", hello), Ends: true,
	},
	{
		Name: "close", Title: "The end of a response, WSGI", WSGI: "closing", Table: ending, Short: true, Run: runClose, Once: true,
		Text: "PEP 3333 requires the server to call close() of each response. Frameworks end their requests there: Flask runs the functions that were registered for it, Django sends request_finished, which gives back database connections. A server that does not call it has less to do.",
	},
	sleeping(64), sleeping(512),
	mixed("mixed", "a quarter", 2, true),
	mixed("mixed-half", "half", 4, false),
	{
		Name: "slow-clients", Title: "Hello, WSGI, beside slow clients", WSGI: "hello", Table: latency, Lengths: 2, AtLeast: 2 * time.Second,
		Text: "16 clients send their request byte by byte, in a second and a half; 16 others ask for hello, keep-alive. Latencies are those of the others.",
		Groups: []load.Group{
			{Name: "hello", Clients: 16, Request: request("GET", "/", nil, false), Want: hello},
			{Name: "slow", Clients: 16, Request: request("GET", "/", nil, false), Want: hello, Trickle: 18 * time.Millisecond},
		},
	},

	{
		Name: "asgi", Title: "Hello, ASGI", ASGI: "hello_asgi", Table: throughput, Short: true, Chart: chartRate,
		Text: "64 clients, each on a connection that it keeps.", Groups: get(64, "/", hello),
	},
	{
		Name: "asgi-oneshot", Title: "Hello, ASGI, a connection for each request", ASGI: "hello_asgi", Table: throughput,
		Text: "16 clients; each request says `Connection: close`.", Groups: once(16, "/", hello),
	},
	{
		Name: "asgi-open", Title: "Hello, ASGI, at a fixed rate", ASGI: "hello_asgi", Table: latency, Chart: chartP99,
		Text: openText, Groups: open(64, "/", hello), Lengths: 2,
	},
	{
		Name: "asgi-one", Title: "Hello, ASGI, a single client", ASGI: "hello_asgi", Table: latency,
		Text: "One client: what a request takes when nothing else happens.", Groups: get(1, "/", hello),
	},
	{
		Name: "asgi-10k", Title: "10 KB response, ASGI", ASGI: "hello_asgi", Table: throughput,
		Text: "64 clients, keep-alive.", Groups: get(64, "/10k", tenKilobytes),
	},
	{
		Name: "asgi-echo", Title: "10 KB POST, echoed, ASGI", ASGI: "hello_asgi", Table: throughput,
		Text: "64 clients, keep-alive.", Groups: echo(64, tenKilobytes),
	},
	{
		Name: "asgi-echo-1m", Title: "1 MB POST, echoed, ASGI", ASGI: "hello_asgi", Table: throughput,
		Text: "16 clients, keep-alive.", Groups: echo(16, megabyte),
	},
	{
		Name: "fastapi", Title: "JSON from FastAPI", ASGI: "fastapi_app", Table: throughput, Short: true, Chart: chartRate,
		Text: "64 clients, keep-alive.", Groups: get(64, "/", fastapiJSON),
	},
	{
		Name: "asgi-sleep-64", Title: "10 ms sleep, ASGI, 64 clients", ASGI: "hello_asgi", Table: throughput,
		Text: "The app awaits a timer of 10 ms.", Groups: get(64, "/sleep", hello),
	},
	{
		Name: "asgi-sleep-512", Title: "10 ms sleep, ASGI, 512 clients", ASGI: "hello_asgi", Table: throughput,
		Text: "The app awaits a timer of 10 ms.", Groups: get(512, "/sleep", hello),
	},
	{
		Name: "websocket", Title: "WebSocket, messages echoed", ASGI: "hello_asgi", Table: throughput, Needs: []ability{sockets}, Chart: chartRate,
		Text: "64 clients; each sends a message of 64 bytes when the one before has come back.", Run: runWebSocket,
	},

	{
		Name: "pool-1k", Title: "Calls of a pool, 1 KB", WSGI: "pooled", Table: latency, Needs: []ability{pools}, Short: true,
		Text:   "One client; the app calls a worker of a pool ten times for each request, with a kilobyte that comes back.",
		Groups: get(1, "/1k", hello), Setup: pooled(1),
	},
	{
		Name: "pool-1m", Title: "Calls of a pool, 1 MB", WSGI: "pooled", Table: latency, Needs: []ability{pools}, Short: true,
		Text:   "As before, with a megabyte.",
		Groups: get(1, "/1m", hello), Setup: pooled(1),
	},
	{
		Name: "pool-stream", Title: "A stream of a pool, 1000 parts", WSGI: "pooled", Table: latency, Needs: []ability{pools}, Short: true,
		Text:   "One client; for each request the app reads a stream of 1000 parts, each a text of 8 bytes.",
		Groups: get(1, "/stream", hello), Setup: pooled(1),
	},
	{
		Name: "pool-parallel", Title: "Calls of a pool, 100 at once", WSGI: "pooled", Table: throughput, Needs: []ability{pools}, Short: true, AtLeast: 2 * time.Second,
		Text:   "100 clients; for each request a worker of a pool sleeps for 10 ms. The pool has 2 workers of 50 threads: 10000 calls/s at most.",
		Groups: get(100, "/sleep", hello),
		Setup:  func(s *setup) { s.Pooled, s.Threads = 50, 50 },
	},

	{
		Name: "https", Title: "Hello by HTTPS", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{encrypts},
		Text:  "64 clients, keep-alive, TLS 1.3. The clients take more of the machine than the others do.",
		Setup: func(s *setup) { s.TLS = true }, Run: runTLS,
	},
	{
		Name: "http2", Title: "Hello by HTTP/2", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{http2}, Short: true,
		Text: "16 connections with TLS, 8 streams on each; the clients are those of h2load.", Apart: true,
		Setup: withHTTP2, Run: (&h2load{connections: 16, streams: 8, path: "/", want: hello}).measure, Chart: chartRate,
	},
	{
		Name: "http2-1m", Title: "1 MB response by HTTP/2", WSGI: "hello", ASGI: "hello_asgi", Table: throughput, Needs: []ability{http2},
		Text:  "4 connections with TLS, 4 streams on each, with windows of 4 MiB for a stream and 16 for a connection; the clients are those of h2load.",
		Apart: true,
		Setup: withHTTP2, Run: (&h2load{connections: 4, streams: 4, path: "/1m", window: 22, want: megabyte}).measure,
	},
	{
		Name: "sse", Title: "Server-sent events by HTTPS", ASGI: "hello_asgi", Table: latency, Needs: []ability{encrypts}, Lengths: 2,
		Text:  eventsText + "by HTTP/1.1, on 100 connections with TLS. " + eventsTime,
		Setup: func(s *setup) { s.TLS = true }, Run: runEvents(false), Apart: true,
	},
	{
		Name: "http2-sse", Title: "Server-sent events by HTTP/2", ASGI: "hello_asgi", Table: latency, Needs: []ability{http2}, Lengths: 2,
		Text:  eventsText + "on one connection with TLS. " + eventsTime,
		Setup: withHTTP2, Run: runEvents(true), Apart: true,
	},
	{
		Name: "start", Title: "From start to first answer", WSGI: "hello", ASGI: "hello_asgi", Table: starting, Short: true,
		Text: "One worker, hello: from exec to the last byte of the first right answer.", Needs: []ability{scales},
		Setup: func(s *setup) { s.Workers = 1 }, Run: runStart, Chart: chartStart,
	},
	{
		Name: "memory", Title: "Memory", WSGI: "hello", ASGI: "hello_asgi", Table: memory, Needs: []ability{scales}, Run: runMemory, Long: true,
		Text: "Hello. PSS (the memory that a process has for itself, and its share of the memory that it shares) of all processes of the server with 2 workers; and what each additional worker takes: the difference between 6 and 2 workers, divided by 4.",
	},
	{
		Name: "memory-flask", Title: "Memory, Flask", WSGI: "flask_app", Table: memory, Needs: []ability{scales}, Run: runMemory, Long: true,
		Text: "As before, with Flask.",
	},
	{
		Name: "memory-preload", Title: "Memory, Flask, preloaded", WSGI: "flask_app", Table: memory, Needs: []ability{scales, preloads},
		Text: "As before, with the app imported once, before the workers are forked.", Run: runMemory, Long: true,
		Setup: func(s *setup) { s.Preload = true },
	},
	{
		Name: "idle", Title: "10 000 idle connections", WSGI: "hello", ASGI: "hello_asgi", Table: idle, Needs: []ability{holds}, Run: runIdle, Long: true,
		Text:  "Each has had one answer; keep-alive of 75 s where that can be set. PSS of the server with and without them; memory of the kernel is not included.",
		Setup: func(s *setup) { s.Idle = true },
	},
	{
		Name: "reload", Title: "Reload under load", WSGI: "slow_import", ASGI: "slow_import_asgi", Lengths: 4, AtLeast: 4 * time.Second,
		Table: reloading, Short: true, Needs: []ability{reloads}, Run: runReload, Long: true,
		Text: "HUP, with an app that takes 2 s to import; 16 clients on keep-alive connections and 4 with a connection for each " +
			"request, each with a pause of 5 ms after an answer. A request is lost if it does not get a complete and correct answer. " +
			"Times are from HUP to the first answer of a new process, and to the last of an old one.",
		Groups: []load.Group{
			{Name: "keep-alive", Clients: 16, Request: request("GET", "/", nil, false), Want: hello, Pause: 5 * time.Millisecond},
			{Name: "one-shot", Clients: 4, Request: request("GET", "/", nil, true), Want: hello, OneShot: true, Pause: 5 * time.Millisecond},
		},
	},
}

func withHTTP2(s *setup) { s.TLS, s.HTTP2 = true, true }

const (
	eventsText = "100 streams, each with an event every 50 ms, "
	eventsTime = "Times are from when the app gives an event to the server until a client has it; requests are events."
)

// answerOf is what an app answers to a GET of /.
func answerOf(app string) []byte {
	switch app {
	case "flask_app":
		return flaskJSON
	case "fastapi_app":
		return fastapiJSON
	}
	return hello
}

var openText = fmt.Sprintf("64 clients, each with a request every %.1f ms whatever has happened to the one before: %d requests/s. "+
	"Times are from when a request was due.", 64e3/openRate, openRate)

func get(clients int, path string, want []byte) []load.Group {
	return []load.Group{{Name: path, Clients: clients, Request: request("GET", path, nil, false), Want: want}}
}

// pooled has the server started with a pool whose workers have so many threads.
func pooled(threads int) func(*setup) { return func(s *setup) { s.Pooled = threads } }

func once(clients int, path string, want []byte) []load.Group {
	return []load.Group{{Name: path, Clients: clients, Request: request("GET", path, nil, true), Want: want, OneShot: true}}
}

func open(clients int, path string, want []byte) []load.Group {
	groups := get(clients, path, want)
	groups[0].Every = time.Duration(clients) * time.Second / openRate
	return groups
}

func echo(clients int, body []byte) []load.Group {
	return []load.Group{{Name: "/echo", Clients: clients, Request: request("POST", "/echo", body, false), Want: body}}
}

// sleeperThreads is for apps that wait: as many as such servers are usually
// given.
const sleeperThreads = 32

func sleeping(clients int) workload {
	return workload{
		Name: fmt.Sprintf("sleep-%d", clients), Title: fmt.Sprintf("10 ms sleep, WSGI, %d clients", clients), WSGI: "hello", Table: throughput,
		Text: fmt.Sprintf("The app sleeps for 10 ms. %d threads a worker, where there are threads: %d requests/s at most.",
			sleeperThreads, workers*sleeperThreads*100),
		Groups: get(clients, "/sleep", hello), Needs: []ability{overlaps}, Slots: true,
		Setup: func(s *setup) { s.Threads = sleeperThreads },
	}
}

// mixed keeps a part of the slots of 2 workers of 4 threads busy. With a quarter
// each worker has threads to spare wherever the slow requests land; with half
// of them one worker may have got them all.
func mixed(name, part string, slow int, short bool) workload {
	w := workload{
		Name: name, Title: "Hello, WSGI, with " + part + " of the slots busy", WSGI: "hello", Lengths: 2, Table: latency,
		Text: fmt.Sprintf("%d slots (%d workers of %d threads): %d clients keep %s of them busy with requests of 200 ms, 16 others ask "+
			"for hello; keep-alive. Latencies are those of hello.", workers*threads, workers, threads, slow, part),
		Groups: []load.Group{
			{Name: "hello", Clients: 16, Request: request("GET", "/", nil, false), Want: hello},
			{Name: "slow", Clients: slow, Request: request("GET", "/slow", nil, false), Want: hello},
		},
		Needs: []ability{overlaps}, Slots: true, Short: short,
	}
	if short {
		w.Chart = chartP999
	}
	return w
}

func (w *workload) rounds(o *options) int {
	switch {
	case w.Once:
		return 1
	case o.Lesser == 0 || w.Short && !w.Long:
		return o.Rounds
	case w.Long:
		return (o.Lesser + 1) / 2
	}
	return o.Lesser
}

func (w *workload) app(p *peer) string {
	if p.Interface == asgi {
		return w.ASGI
	}
	return w.WSGI
}

func (w *workload) suits(p *peer) bool {
	return w.app(p) != "" && p.can(w.Needs...) && (w.Slots || !p.Mixed)
}

// request is what a browser's would be without its cookies.
func request(method, target string, body []byte, oneShot bool) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n", method, target)
	if oneShot {
		b.WriteString("Connection: close\r\n")
	}
	if body != nil {
		fmt.Fprintf(&b, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
