package main

import (
	"bytes"
	"fmt"
	"time"

	"indrik/bench/load"
)

// table is the form in which a workload's figures are shown.
type table int

const (
	throughput table = iota
	latency
	reload
)

// workload is what the clients do. The first of its groups is the one that the
// latencies in the table are those of.
type workload struct {
	Name, Title, Text string
	App               string
	Groups            []load.Group
	Table             table
	// Lengths of the measurement, in units of -duration, and the least it must
	// be to show what it is about.
	Lengths int
	AtLeast time.Duration
	// Suits says which servers it makes sense for; nil: those that are not
	// there for the mixed workload only.
	Suits func(peer) bool
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
)

var allWorkloads = []workload{
	{
		Name: "hello", Title: "hello, keep-alive", App: "hello", Lengths: 1,
		Text:   "64 clients, each on a connection that it keeps.",
		Groups: []load.Group{{Name: "hello", Clients: 64, Request: request("GET", "/", nil, false), Want: hello}},
	},
	{
		Name: "oneshot", Title: "hello, a connection for each request", App: "hello", Lengths: 1,
		Text:   "16 clients; each request says `Connection: close`.",
		Groups: []load.Group{{Name: "hello", Clients: 16, Request: request("GET", "/", nil, true), Want: hello, OneShot: true}},
	},
	{
		Name: "10k", Title: "10 KB response", App: "hello", Lengths: 1,
		Text:   "64 clients, keep-alive.",
		Groups: []load.Group{{Name: "10k", Clients: 64, Request: request("GET", "/10k", nil, false), Want: tenKilobytes}},
	},
	{
		Name: "echo", Title: "10 KB POST, echoed", App: "hello", Lengths: 1,
		Text:   "64 clients, keep-alive.",
		Groups: []load.Group{{Name: "echo", Clients: 64, Request: request("POST", "/echo", tenKilobytes, false), Want: tenKilobytes}},
	},
	mixed("mixed", "a quarter", 2),
	mixed("mixed-half", "half", 4),
	{
		Name: "reload", Title: "reload under load", App: "slow_import", Lengths: 2, AtLeast: 2 * time.Second, Table: reload,
		Text: "HUP, with an app that takes 1 s to import; 16 clients on keep-alive connections and 4 with a connection for each " +
			"request, each with a pause of 5 ms after an answer. A request is lost when it gets no whole and right answer.",
		Groups: []load.Group{
			{Name: "keep-alive", Clients: 16, Request: request("GET", "/", nil, false), Want: hello, Pause: 5 * time.Millisecond},
			{Name: "one-shot", Clients: 4, Request: request("GET", "/", nil, true), Want: hello, OneShot: true, Pause: 5 * time.Millisecond},
		},
		Suits: func(p peer) bool { return p.HUP },
	},
}

// mixed keeps a part of the slots of 2 workers of 4 threads busy. With a quarter
// each worker has threads to spare wherever the slow requests land; with half
// of them one worker may have got them all.
func mixed(name, part string, slow int) workload {
	return workload{
		Name: name, Title: "hello, with " + part + " of the slots busy", App: "hello", Lengths: 2, Table: latency,
		Text: fmt.Sprintf("%d slots (%d workers of %d threads): %d clients keep %s of them busy with requests of 200 ms, 16 others ask "+
			"for hello; keep-alive. Latencies are those of hello.", workers*threads, workers, threads, slow, part),
		Groups: []load.Group{
			{Name: "hello", Clients: 16, Request: request("GET", "/", nil, false), Want: hello},
			{Name: "slow", Clients: slow, Request: request("GET", "/slow", nil, false), Want: hello},
		},
		Suits: func(p peer) bool { return p.Threads > 1 },
	}
}

func (w *workload) suits(p peer) bool {
	if w.Suits != nil {
		return w.Suits(p)
	}
	return !p.Mixed
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
