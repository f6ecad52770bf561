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
	// Goal: the first goals are about it. It is measured in all rounds, and comes first.
	Goal bool
	// Short: it is part of the short form.
	Short bool
	// Most is how many rounds it has at most; 0: as many as there are.
	Most int
	// Ends: the app does a part of its work when the server calls close() of the
	// response.
	Ends bool
	// Loop: the app is also called in a loop without a server.
	Loop bool
	// Half is the workload by whose rate the rate of this one is set; "": it has none.
	Half string
	// Chart: what its figure in docs shows; nil: it has none.
	Chart chart
}

// hupAfter is when, from the start of the measurement, a server is told to
// reload.
const hupAfter = 300 * time.Millisecond

// timeout is what a client's patience is: longer than any wait that is not a
// fault, short enough to end a run.
const timeout = 5 * time.Second

var (
	hello        = []byte("Hello, World!\n")
	tenKilobytes = bytes.Repeat([]byte("0123456789abcdef"), 640)
	megabyte     = bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	fileContent  = bytes.Repeat([]byte("0123456789abcdef"), 50<<10/16)
	flaskJSON    = []byte("{\"message\":\"Hello, World!\"}\n")
	djangoJSON   = []byte(`{"message": "Hello, World!"}`)
	plainJSON    = []byte(`{"message":"Hello, World!"}`)
)

// answerOf is what an app answers to a GET of /.
func answerOf(app string) []byte {
	switch app {
	case "flask_app":
		return flaskJSON
	case "django_app":
		return djangoJSON
	case "fastapi_app", "litestar_app":
		return plainJSON
	}
	return hello
}

// rounds is how many rounds a workload has.
func (w *workload) rounds(o *options) int {
	n := o.Rounds
	if o.Lesser > 0 && !w.Goal {
		n = o.Lesser
	}
	if w.Most > 0 {
		n = min(n, w.Most)
	}
	return n
}

func (w *workload) app(p *peer) string {
	switch {
	case p.Interface == asgi, p.Alone && w.WSGI == "":
		return w.ASGI
	}
	return w.WSGI
}

func (w *workload) suits(p *peer) bool {
	if p.Alone {
		return w.Loop
	}
	return w.app(p) != "" && p.can(w.Needs...) && (w.Slots || !p.Mixed)
}

// takes reports whether a server takes part in a round. The minor ones are measured once, with the
// workloads of the short form that the first goals are about, unless servers were asked for by name.
func (o *options) takes(p *peer, w *workload, round int) bool {
	return w.suits(p) && (o.Peers != "" || !p.Minor || w.Goal && w.Short && round == 1)
}

// workloadOf returns the workload of a name that is known to be one.
func workloadOf(name string) *workload {
	for i := range allWorkloads {
		if allWorkloads[i].Name == name {
			return &allWorkloads[i]
		}
	}
	panic("no workload " + name)
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

func get(clients int, path string, want []byte) []load.Group {
	return []load.Group{{Name: path, Clients: clients, Request: request("GET", path, nil, false), Want: want}}
}

func once(clients int, path string, want []byte) []load.Group {
	return []load.Group{{Name: path, Clients: clients, Request: request("GET", path, nil, true), Want: want, OneShot: true}}
}

func echo(clients int, body []byte) []load.Group {
	return []load.Group{{Name: "/echo", Clients: clients, Request: request("POST", "/echo", body, false), Want: body}}
}

// pooled has the server started with a pool whose workers have so many threads.
func pooled(threads int) func(*setup) { return func(s *setup) { s.Pooled = threads } }

func withTLS(s *setup) { s.TLS = true }

func withHTTP2(s *setup) { s.TLS, s.HTTP2 = true, true }

// keptAlive are the clients of most workloads: as many as keep all slots of all servers busy.
const keptAlive = "64 clients, keep-alive."

// framework is an app of a framework that answers a GET of / with JSON. The processor time of
// the app itself is known from calls of it in a loop.
func framework(name, title, module, kind string, short bool) workload {
	w := workload{
		Name: name, Title: "JSON from " + title, Table: frameworks, Goal: true, Short: short, Loop: true, Ends: kind == wsgi,
		Chart: chartRate, Text: keptAlive, Groups: get(64, "/", answerOf(module)),
	}
	if kind == wsgi {
		w.WSGI = module
	} else {
		w.ASGI = module
	}
	return w
}

// sleeperThreads is for apps that wait: as many as such servers are usually
// given.
const sleeperThreads = 32

// mixed keeps a part of the slots of 2 workers of 4 threads busy. With a quarter each worker
// has threads to spare wherever the slow requests land.
func mixed(name, part string, slow int) workload {
	return workload{
		Name: name, Title: "Hello, WSGI, with " + part + " of the slots busy", WSGI: "hello", Lengths: 2, Table: latency,
		Text: fmt.Sprintf("%d slots (%d workers of %d threads): %d clients keep %s of them busy with requests of 200 ms, 16 others ask "+
			"for hello; keep-alive. Latencies are those of hello.", workers*threads, workers, threads, slow, part),
		Groups: []load.Group{
			{Name: "hello", Clients: 16, Request: request("GET", "/", nil, false), Want: hello},
			{Name: "slow", Clients: slow, Request: request("GET", "/slow", nil, false), Want: hello},
		},
		Needs: []ability{overlaps}, Slots: true, Chart: chartP999,
	}
}

const (
	eventsText = "100 streams, each with an event every 50 ms, "
	eventsTime = "Times are from when the app gives an event to the server until a client has it; requests are events."
)
