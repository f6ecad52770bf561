package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
)

const (
	workers = 2
	// threads of each worker of the servers that have more than one.
	threads = 4
)

// The protocols between server and app.
const (
	wsgi = "WSGI"
	asgi = "ASGI"
)

// exampleAddress is in the command lines that are shown.
var exampleAddress = netip.MustParseAddrPort("127.0.0.1:8000")

// A setup is what a workload asks of a server beyond its own command line.
type setup struct {
	Bind    netip.AddrPort
	App     string // a module with the variable app
	Workers int
	Threads int // of the servers that have more than one a worker
	TLS     bool
	HTTP2   bool // by TLS
	Preload bool // the app is imported once, before the workers are made
	Idle    bool // connections are kept for a minute at least
	Brief   bool // connections are kept for a second
	Pooled  int  // so many threads of each of 2 workers of a pool have the app's class Pooled; 0: no pool
	Hasty   bool // it is not given time after its first answer
	Dir     string
}

func (s *setup) address() string { return s.Bind.String() }
func (s *setup) host() string    { return s.Bind.Addr().String() }
func (s *setup) port() string    { return fmt.Sprint(s.Bind.Port()) }

// file is the name of a file that the server needs for itself.
func (s *setup) file(name string) string { return filepath.Join(s.Dir, name) }

// ability is what a server can be asked for, beyond HTTP/1.1 without TLS.
type ability string

const (
	reloads  ability = "reload"    // it loads the app again on SIGHUP without closing its sockets
	encrypts ability = "TLS"       // it has TLS
	http2    ability = "HTTP/2"    // it has HTTP/2
	preloads ability = "preload"   // it can import the app before it forks
	holds    ability = "idle"      // it does not give a connection a worker or a thread of its own
	sockets  ability = "WebSocket" // it has WebSocket
	overlaps ability = "overlap"   // a worker runs several requests at once
	scales   ability = "workers"   // the number of its workers can be chosen
	pools    ability = "pools"     // it has pools of workers that apps can call
)

// peer is a server and the way it is set up.
type peer struct {
	Name string
	// Needs is the package it comes from; "": Indrik itself.
	Needs     string
	Interface string
	Can       []ability
	// Mixed: it runs only the workloads that need slots to spare, for which it is
	// set up differently from the peer of the same kind.
	Mixed bool
	// Minor: it is no match in most of what is measured: slower than others of its kind, or
	// with clients that wait, or with a part of the work left out.
	Minor bool
	// Alone: it is no server, but the app in a loop.
	Alone   bool
	command func(e *environment, s *setup) []string
}

func (p *peer) can(wanted ...ability) bool {
	for _, a := range wanted {
		if !slices.Contains(p.Can, a) {
			return false
		}
	}
	return true
}

// peerOf returns the server of a name, nil if there is none.
func peerOf(name string) *peer {
	for i := range allPeers {
		if allPeers[i].Name == name {
			return &allPeers[i]
		}
	}
	return nil
}

var (
	canIndrik   = []ability{reloads, encrypts, http2, preloads, holds, scales}
	canGunicorn = []ability{reloads, encrypts, preloads, scales}
)

func with(list []ability, more ...ability) []ability { return append(slices.Clone(list), more...) }

var allPeers = []peer{
	{Name: "indrik sync", Interface: wsgi, Can: canIndrik, command: gunicornLike("", "sync")},
	{Name: "indrik gthread", Interface: wsgi, Can: with(canIndrik, overlaps, pools), command: gunicornLike("", "gthread")},
	{Name: "indrik sync pure", Needs: speedPackage, Interface: wsgi, Minor: true, Can: canIndrik, command: pure("sync")},
	{Name: "gunicorn sync", Needs: "gunicorn", Interface: wsgi, Can: canGunicorn, command: gunicornLike("gunicorn", "sync")},
	{
		Name: "gunicorn gthread", Needs: "gunicorn", Interface: wsgi, Can: with(canGunicorn, http2, holds, overlaps, pools),
		command: gunicornLike("gunicorn", "gthread"),
	},
	{
		Name: "gunicorn gevent", Needs: "gevent", Interface: wsgi, Minor: true, Can: with(canGunicorn, holds, overlaps),
		command: gunicornLike("gunicorn", "gevent"),
	},
	{
		Name: "nginx + gunicorn gthread", Needs: "nginx", Interface: wsgi, Minor: true, Can: with(canGunicorn, http2, holds, overlaps),
		command: behindNginx,
	},
	{
		Name: "uwsgi", Needs: "uWSGI", Interface: wsgi, Minor: true, Can: []ability{reloads, preloads, scales}, command: uwsgi(false),
	},
	{
		Name: "uwsgi router", Needs: "uWSGI", Interface: wsgi, Minor: true, Can: []ability{reloads, preloads, scales, holds}, command: uwsgiRouter,
	},
	{
		Name: "uwsgi threads", Needs: "uWSGI", Interface: wsgi, Can: []ability{overlaps}, Mixed: true, command: uwsgi(true),
	},
	{
		Name: "granian", Needs: "granian", Interface: wsgi, Can: []ability{reloads, encrypts, http2, holds, scales},
		command: granian(wsgi, false),
	},
	{
		Name: "granian threads", Needs: "granian", Interface: wsgi, Can: []ability{overlaps}, Mixed: true,
		command: granian(wsgi, true),
	},
	{Name: "waitress", Needs: "waitress", Interface: wsgi, Minor: true, Can: []ability{overlaps, holds}, command: waitress},
	{
		Name: "peregrine", Needs: "peregrine-server", Interface: wsgi, Can: []ability{reloads, encrypts, http2, holds, scales},
		command: peregrine("wsgi", 1),
	},
	{
		Name: "peregrine threads", Needs: "peregrine-server", Interface: wsgi, Can: []ability{overlaps}, Mixed: true,
		command: peregrine("wsgi", threads),
	},
	{Name: "m0serve", Needs: "m0serve", Interface: wsgi, Can: []ability{holds, scales}, command: m0serve("wsgi")},
	{Name: "bjoern", Needs: "bjoern-binary", Interface: wsgi, Can: []ability{preloads, scales, holds}, command: script("serve_bjoern.py")},
	{
		Name: "fastpysgi", Needs: "fastpysgi", Interface: wsgi, Minor: true, Can: []ability{preloads, scales, holds},
		command: script("serve_fastpysgi.py"),
	},

	{Name: "indrik asgi", Interface: asgi, Can: with(canIndrik, overlaps, sockets), command: gunicornLike("", "asgi")},
	{Name: "indrik asgi pure", Needs: speedPackage, Interface: asgi, Minor: true, Can: with(canIndrik, overlaps, sockets), command: pure("asgi")},
	{
		Name: "gunicorn asgi", Needs: "gunicorn", Interface: asgi, Can: with(canGunicorn, http2, holds, overlaps, sockets),
		command: gunicornLike("gunicorn", "asgi"),
	},
	{
		Name: "uvicorn", Needs: "uvicorn", Interface: asgi,
		Can:     []ability{reloads, encrypts, holds, overlaps, sockets, scales},
		command: uvicorn,
	},
	{
		Name: "granian asgi", Needs: "granian", Interface: asgi,
		Can:     []ability{reloads, encrypts, http2, holds, overlaps, sockets, scales},
		command: granian(asgi, false),
	},
	{
		Name: "h2corn", Needs: "h2corn", Interface: asgi, Can: []ability{reloads, encrypts, http2, holds, overlaps, sockets, scales},
		command: h2corn,
	},
	{
		Name: "peregrine asgi", Needs: "peregrine-server", Interface: asgi,
		Can:     []ability{reloads, encrypts, http2, holds, overlaps, sockets, scales},
		command: peregrine("asgi", 1),
	},
	{
		Name: "m0serve asgi", Needs: "m0serve", Interface: asgi, Can: []ability{holds, overlaps, sockets, scales}, command: m0serve("asgi"),
	},
	{
		Name: "hypercorn", Needs: "hypercorn", Interface: asgi, Minor: true,
		Can:     []ability{reloads, encrypts, http2, holds, overlaps, sockets, scales},
		command: hypercorn,
	},

	{Name: alone, Alone: true, command: callLoop},
}

// anchors are the servers that ratios are given to.
var anchors = map[string]string{wsgi: "gunicorn gthread", asgi: "uvicorn"}

// gunicornLike starts Gunicorn, or Indrik if program is "", by the command line
// that both have.
func gunicornLike(program, class string) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		path := e.indrik
		if program != "" {
			path = e.bin + "/" + program
		}
		return append([]string{path}, gunicornArgs(e, s, class, s.address())...)
	}
}

// pure starts Indrik without the compiled code that the others use where it is installed.
func pure(class string) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		return append([]string{e.indrik, "--speed", "off"}, gunicornArgs(e, s, class, s.address())...)
	}
}

func gunicornArgs(e *environment, s *setup, class, bind string) []string {
	args := []string{"--workers", fmt.Sprint(s.Workers), "--worker-class", class}
	if class == "gthread" {
		args = append(args, "--threads", fmt.Sprint(s.Threads))
	}
	if s.TLS {
		args = append(args, "--certfile", e.certFile, "--keyfile", e.keyFile)
	}
	if s.HTTP2 {
		args = append(args, "--http-protocols", "h2,h1")
	}
	if s.Preload {
		args = append(args, "--preload")
	}
	if s.Idle {
		// Of its workers; Indrik does not count connections of workers.
		args = append(args, "--keep-alive", "75", "--worker-connections", "20000")
	}
	if s.Brief {
		args = append(args, "--keep-alive", "1")
	}
	if s.Pooled > 0 {
		args = append(args, "--dirty-app", s.App+":Pooled", "--dirty-workers", "2", "--dirty-threads", fmt.Sprint(s.Pooled))
	}
	return append(args, "--bind", bind, s.App+":app")
}

func granian(kind string, several bool) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		args := []string{
			e.bin + "/granian", "--interface", "wsgi", "--host", s.host(), "--port", s.port(), "--workers", fmt.Sprint(s.Workers),
		}
		switch {
		case kind == asgi:
			args[2] = "asgi"
			args = append(args, "--loop", "uvloop")
		case several:
			args = append(args, "--blocking-threads", fmt.Sprint(s.Threads), "--no-ws")
		default:
			args = append(args, "--blocking-threads", "1", "--no-ws")
		}
		if s.Idle {
			args = append(args, "--backpressure", "20000") // it counts connections
		}
		if s.Brief {
			args = append(args, "--http1-header-read-timeout", "1000") // a connection that is idle waits for a head
		}
		if s.TLS {
			args = append(args, "--ssl-certificate", e.certFile, "--ssl-keyfile", e.keyFile)
		}
		return append(args, s.App+":app")
	}
}

// uwsgi has keep-alive on its own socket only by the option http11-socket:
// after an answer on an http-socket it closes the connection, without saying
// so in the answer. A worker then serves one connection until its client
// closes it, and the others wait: the bench counts them.
func uwsgi(several bool) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		args := []string{
			e.bin + "/uwsgi", "--http11-socket", s.address(), "--master", "--processes", fmt.Sprint(s.Workers),
			"--listen", "1024", "--disable-logging", "--die-on-term", "--need-app", "--module", s.App + ":app",
		}
		if !s.Preload {
			args = append(args, "--lazy-apps")
		}
		if several {
			args = append(args, "--threads", fmt.Sprint(s.Threads))
		}
		return args
	}
}

// uwsgiRouter has uWSGI's own proxy in front, which keeps the connections of
// all clients.
func uwsgiRouter(e *environment, s *setup) []string {
	args := uwsgi(false)(e, s)
	args[1] = "--http"
	return append(args, "--http-keepalive")
}

// waitress has one process: it gets the threads that others have in all their
// workers.
func waitress(e *environment, s *setup) []string {
	args := []string{
		e.bin + "/waitress-serve", "--listen=" + s.address(), fmt.Sprintf("--threads=%d", s.Workers*s.Threads), "--backlog=2048",
	}
	if s.Idle {
		args = append(args, "--connection-limit=20000", "--channel-timeout=75", "--asyncore-use-poll")
	}
	if s.Brief {
		args = append(args, "--channel-timeout=1", "--cleanup-interval=1")
	}
	return append(args, s.App+":app")
}

// script starts a server that has no command line by a script beside the apps.
func script(name string) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		return []string{e.python(), name, s.host(), s.port(), fmt.Sprint(s.Workers), s.App}
	}
}

func uvicorn(e *environment, s *setup) []string {
	args := []string{
		e.bin + "/uvicorn", "--host", s.host(), "--port", s.port(), "--workers", fmt.Sprint(s.Workers),
		"--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
	}
	if s.TLS {
		args = append(args, "--ssl-certfile", e.certFile, "--ssl-keyfile", e.keyFile)
	}
	if s.Idle {
		args = append(args, "--timeout-keep-alive", "75")
	}
	if s.Brief {
		args = append(args, "--timeout-keep-alive", "1")
	}
	return append(args, s.App+":app")
}

// h2corn takes uvloop if that is there.
func h2corn(e *environment, s *setup) []string {
	args := []string{e.bin + "/h2corn", "--bind", s.address(), "--workers", fmt.Sprint(s.Workers), "--no-access-log"}
	if s.TLS {
		args = append(args, "--certfile", e.certFile, "--keyfile", e.keyFile)
	}
	if s.Brief {
		args = append(args, "--timeout-keep-alive", "1")
	}
	return append(args, s.App+":app")
}

// peregrine takes uvloop if that is there.
func peregrine(protocol string, perWorker int) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		args := []string{
			e.bin + "/peregrine", "--host", s.host(), "--port", s.port(), "--workers", fmt.Sprint(s.Workers), "--protocol", protocol,
		}
		if protocol == "wsgi" {
			args = append(args, "--wsgi-threads", fmt.Sprint(perWorker))
		}
		if s.TLS {
			args = append(args, "--tls-cert", e.certFile, "--tls-key", e.keyFile)
		}
		if s.Idle {
			args = append(args, "--keep-alive", "75000", "--max-connections", "20000")
		}
		if s.Brief {
			args = append(args, "--keep-alive", "1000")
		}
		return append(args, s.App+":app")
	}
}

// m0serve closes a connection after a thousand requests unless it is told not to. It loads an app
// again only where its files change, which is for development.
func m0serve(protocol string) func(*environment, *setup) []string {
	return func(e *environment, s *setup) []string {
		args := []string{
			e.bin + "/m0serve", "--host", s.host(), "--port", s.port(), "--workers", fmt.Sprint(s.Workers), "--protocol", protocol,
			"--max-keepalive-requests", "0",
		}
		if s.Idle {
			args = append(args, "--idle-timeout", "75")
		}
		if s.Brief {
			args = append(args, "--idle-timeout", "1")
		}
		return append(args, s.App+":app")
	}
}

func hypercorn(e *environment, s *setup) []string {
	args := []string{
		e.bin + "/hypercorn", "--bind", s.address(), "--workers", fmt.Sprint(s.Workers), "--worker-class", "uvloop",
		"--log-level", "WARNING",
	}
	if s.TLS {
		args = append(args, "--certfile", e.certFile, "--keyfile", e.keyFile)
	}
	if s.Idle {
		args = append(args, "--keep-alive", "75")
	}
	if s.Brief {
		args = append(args, "--keep-alive", "1")
	}
	return append(args, s.App+":app")
}
