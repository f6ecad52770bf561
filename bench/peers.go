package main

import (
	"fmt"
	"net/netip"
)

const (
	workers = 2
	// threads of each worker of the servers that have more than one.
	threads = 4
)

// anchor is the server that ratios are given to.
const anchor = "gunicorn gthread"

// peer is a server and the way it is set up.
type peer struct {
	Name string
	// Needs is the package it comes from; "": Indrik itself.
	Needs string
	// Threads of a worker.
	Threads int
	// Mixed: it runs only the workload that needs slots to spare, for which it is
	// set up differently from the peer of the same kind.
	Mixed bool
	// HUP: it loads the app again on SIGHUP without closing its sockets.
	HUP     bool
	command func(e *environment, bind, app string) []string
}

var allPeers = []peer{
	{Name: "indrik sync", Threads: 1, HUP: true, command: gunicornLike("", "sync", 1)},
	{Name: "indrik gthread", Threads: threads, HUP: true, command: gunicornLike("", "gthread", threads)},
	{Name: "gunicorn sync", Needs: "gunicorn", Threads: 1, HUP: true, command: gunicornLike("gunicorn", "sync", 1)},
	{Name: "gunicorn gthread", Needs: "gunicorn", Threads: threads, HUP: true, command: gunicornLike("gunicorn", "gthread", threads)},
	{Name: "granian", Needs: "granian", Threads: 1, command: granian(1)},
	{Name: "granian threads", Needs: "granian", Threads: threads, Mixed: true, command: granian(threads)},
	{Name: "uwsgi", Needs: "uWSGI", Threads: 1, command: uwsgi(1)},
	{Name: "uwsgi threads", Needs: "uWSGI", Threads: threads, Mixed: true, command: uwsgi(threads)},
}

// gunicornLike starts Gunicorn, or Indrik if program is "", by the command line
// that both have.
func gunicornLike(program, class string, threads int) func(*environment, string, string) []string {
	return func(e *environment, bind, app string) []string {
		path := e.indrik
		if program != "" {
			path = e.bin + "/" + program
		}
		args := []string{path, "--workers", fmt.Sprint(workers), "--worker-class", class}
		if threads > 1 {
			args = append(args, "--threads", fmt.Sprint(threads))
		}
		return append(args, "--bind", bind, app+":app")
	}
}

func granian(threads int) func(*environment, string, string) []string {
	return func(e *environment, bind, app string) []string {
		address := netip.MustParseAddrPort(bind)
		return []string{
			e.bin + "/granian", "--interface", "wsgi", "--host", address.Addr().String(), "--port", fmt.Sprint(address.Port()),
			"--workers", fmt.Sprint(workers), "--blocking-threads", fmt.Sprint(threads), "--no-ws", app + ":app",
		}
	}
}

// uwsgi has keep-alive on its own socket only by the option http11-socket:
// after an answer on an http-socket it closes the connection, without saying
// so in the answer. A worker then serves one connection until its client
// closes it, and the others wait: the bench counts them.
func uwsgi(threads int) func(*environment, string, string) []string {
	return func(e *environment, bind, app string) []string {
		args := []string{
			e.bin + "/uwsgi", "--http11-socket", bind, "--master", "--processes", fmt.Sprint(workers),
			"--listen", "1024", "--disable-logging", "--die-on-term", "--need-app", "--module", app + ":app",
		}
		if threads > 1 {
			args = append(args, "--threads", fmt.Sprint(threads))
		}
		return args
	}
}
