//go:build linux

package test

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A fleet is several hosts with a server each, two with balancers and one with clients. Each
// host is a network namespace.
type fleet struct {
	t        *testing.T
	binary   string
	net      netswitch
	hosts    []*fleetHost
	clients  *netns
	haproxy  string // where it answers its operators, a unix socket
	nginxPID int
	nginxDir string
}

// A fleetHost is a host with a server, as a pod of Kubernetes has one.
type fleetHost struct {
	name   string // a, b, c
	addr   string
	net    *netns
	server *server
	out    bool // the balancers have been told to leave it alone
}

const (
	fleetHAProxy = "10.98.0.11"
	fleetNginx   = "10.98.0.12"
	fleetClients = "10.98.0.13"

	// endpointDelay is how long after TERM the balancers learn of it: what it takes from the
	// end of a pod to the last kube-proxy and ingress.
	endpointDelay = 2 * time.Second

	// fleetSilence is how long the balancers wait for a server that says nothing.
	fleetSilence = 6 * time.Second
)

const fleetApp = `import asyncio
import os
from pathlib import Path

HOST = os.environ["HOST_NAME"]
VERSION = Path(__file__).with_name("version").read_text()
SERVED = [(b"x-host", HOST.encode()), (b"x-version", VERSION.encode()), (b"content-type", b"text/plain")]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "headers": SERVED[:2]})
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})
    body = scope["path"].encode() + b"\n"
    more = True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": SERVED})
    if scope["path"].startswith("/stream/"):
        for _ in range(10):
            await send({"type": "http.response.body", "body": b"part\n", "more_body": True})
            await asyncio.sleep(0.03)
    await send({"type": "http.response.body", "body": body})
`

// newFleet makes the hosts, starts the servers with the first version of the code, and the
// balancers.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, net: newSwitch(t), binary: filepath.Join(tempDir(t), "indrik")}
	// Without the race detector, which would leave no time for as many requests.
	build := exec.Command("go", "build", "-o", f.binary, "./cmd/indrik")
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for i, name := range []string{"a", "b", "c"} {
		h := &fleetHost{name: name, addr: fmt.Sprintf("10.98.0.%d", i+1)}
		h.net = f.net.plug(t, name, h.addr)
		f.hosts = append(f.hosts, h)
		f.boot(h, 1)
	}
	f.clients = f.net.plug(t, "clients", fleetClients)
	for _, h := range f.hosts {
		f.waitReady(h)
	}
	f.startHAProxy(f.net.plug(t, "haproxy", fleetHAProxy))
	f.startNginx(f.net.plug(t, "nginx", fleetNginx))
	return f
}

// boot starts the server of a host with a version of the code. It has the variables of the
// manifests, and that of a pod, for which drain_delay is 5.
func (f *fleet) boot(h *fleetHost, version int) {
	f.t.Helper()
	err := h.net.inside(func() error {
		h.server = launch(f.t, options{
			app: "fleet:app", binary: f.binary, noProbe: true, bind: []string{h.addr + ":8000"},
			files: map[string]string{"fleet.py": fleetApp, "version": strconv.Itoa(version)},
			env: []string{
				"INDRIK_WORKERS=2", "INDRIK_HEALTH_PATH=/-/health", "KUBERNETES_SERVICE_HOST=10.98.0.100",
				"PYTHONPATH=DIR", "HOST_NAME=" + h.name,
			},
		})
		return nil
	})
	must(f.t, err)
}

// ask makes a request of a client's.
func (f *fleet) ask(addr, target string) (*response, error) {
	c, err := f.clients.dial(addr, patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, format("GET", target, "", "Connection: close")); err != nil {
		return nil, err
	}
	return readResponse(c.r, "GET")
}

func (f *fleet) waitReady(h *fleetHost) {
	f.t.Helper()
	eventually(f.t, "host "+h.name+" is ready", func() bool {
		r, err := f.ask(h.addr+":8000", "/-/health/readyz")
		return err == nil && r.status == 200
	})
}

// program starts a program on a host.
func (f *fleet) program(n *netns, dir string, args ...string) (pid int) {
	f.t.Helper()
	must(f.t, n.inside(func() error {
		pid = run(f.t, dir, nil, args...)
		return nil
	}))
	return pid
}

// startHAProxy starts HAProxy with the block of the page. What it adds is where it listens,
// which host had a request, and that it asks only whether a host lives: the news that one
// leaves comes from the test.
func (f *fleet) startHAProxy(n *netns) {
	dir := tempDir(f.t)
	f.haproxy = filepath.Join(dir, "admin.sock")
	block := replaceAll(f.t, pageBlock(f.t, "kubernetes.md", "fleet HAProxy"),
		"/run/haproxy/admin.sock", f.haproxy, "bind :80\n", "bind "+fleetHAProxy+":80\n    http-after-response set-header X-Tried %[srv_name]\n",
		"/readyz", "/livez", "timeout server 35s", fmt.Sprintf("timeout server %dms", fleetSilence.Milliseconds()),
		"10.0.0.", "10.98.0.")
	path := filepath.Join(dir, "haproxy.cfg")
	must(f.t, os.WriteFile(path, []byte(block+"\n"), 0o644))
	f.program(n, dir, find(f.t, "haproxy"), "-db", "-f", path)
	f.waitBalancer(fleetHAProxy)
}

// startNginx starts nginx with the block of the page; the list of hosts is a file of its own.
func (f *fleet) startNginx(n *netns) {
	f.nginxDir = tempDir(f.t)
	upstream, server, _ := strings.Cut(pageBlock(f.t, "kubernetes.md", "fleet nginx"), "\nserver {")
	f.writeNginx(upstream)
	server = replaceAll(f.t, "server {"+server, "listen 80", "listen "+fleetNginx+":80", "proxy_read_timeout 35s",
		fmt.Sprintf("proxy_read_timeout %dms;\n        add_header X-Tried $upstream_addr always", fleetSilence.Milliseconds()))
	must(f.t, os.WriteFile(filepath.Join(f.nginxDir, "nginx.conf"), []byte(fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
user root;
events {}
http {
    access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
    keepalive_requests 1000000;
    include %[1]s/upstream;
%[2]s
}
`, f.nginxDir, server)), 0o644))
	f.nginxPID = f.program(n, f.nginxDir, find(f.t, "nginx"), "-c", filepath.Join(f.nginxDir, "nginx.conf"), "-p", f.nginxDir)
	f.waitBalancer(fleetNginx)
}

func (f *fleet) waitBalancer(addr string) {
	f.t.Helper()
	eventually(f.t, "the balancer "+addr+" answers", func() bool {
		r, err := f.ask(addr+":80", "/first")
		return err == nil && r.status == 200
	})
}

// writeNginx writes the list of hosts from the block of the page: those that are out are down.
func (f *fleet) writeNginx(block string) {
	f.t.Helper()
	block = replaceAll(f.t, block, "10.0.0.", "10.98.0.")
	for _, h := range f.hosts {
		if h.out {
			block = replaceAll(f.t, block, h.addr+":8000", h.addr+":8000 down")
		}
	}
	must(f.t, os.WriteFile(filepath.Join(f.nginxDir, "upstream"), []byte(block), 0o644))
}

// steer tells both balancers which hosts are in and which are out, as an ingress controller
// does: one by its runtime interface, one by a reload.
func (f *fleet) steer() {
	f.t.Helper()
	for _, h := range f.hosts {
		state := "ready"
		if h.out {
			state = "maint"
		}
		f.admin(fmt.Sprintf("set server shop/%s state %s", h.name, state))
	}
	upstream, _, _ := strings.Cut(pageBlock(f.t, "kubernetes.md", "fleet nginx"), "\nserver {")
	f.writeNginx(upstream)
	kill(f.t, f.nginxPID, syscall.SIGHUP)
}

// admin gives HAProxy an order.
func (f *fleet) admin(order string) string {
	f.t.Helper()
	c, err := net.DialTimeout("unix", f.haproxy, patience)
	must(f.t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, order+"\n")
	must(f.t, err)
	answer, err := io.ReadAll(c)
	must(f.t, err)
	return string(answer)
}

// stat returns a figure of HAProxy's about a server of the backend, or of BACKEND.
func (f *fleet) stat(server, figure string) string {
	f.t.Helper()
	table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(f.admin("show stat"), "# "))).ReadAll()
	must(f.t, err)
	for _, row := range table {
		if at := slices.Index(table[0], figure); at >= 0 && row[0] == "shop" && row[1] == server {
			return row[at]
		}
	}
	f.t.Fatalf("HAProxy has no %s of %s", figure, server)
	return ""
}

// again returns how many requests HAProxy has sent a second time, to the same server or to
// another one.
func (f *fleet) again() int {
	f.t.Helper()
	sum := 0
	for _, figure := range []string{"wretr", "wredis"} {
		n, err := strconv.Atoi(f.stat("BACKEND", figure))
		must(f.t, err)
		sum += n
	}
	return sum
}

// roll replaces the code of some hosts at the same time: TERM, two seconds later the balancers
// hear of it, and when the old servers have ended new ones start.
func (f *fleet) roll(version int, hosts ...*fleetHost) {
	f.t.Helper()
	for _, h := range hosts {
		h.server.signal(syscall.SIGTERM)
	}
	time.Sleep(endpointDelay)
	for _, h := range hosts {
		h.out = true
		if !h.server.running() {
			f.t.Errorf("host %s has ended before the balancers know", h.name)
		}
	}
	f.steer()
	for _, h := range hosts {
		h.server.expectExit(0)
		f.boot(h, version)
	}
	for _, h := range hosts {
		f.waitReady(h)
		h.out = false
	}
	f.steer()
}

// cutPower takes a host away in the midst of what it does.
func (f *fleet) cutPower(h *fleetHost) {
	f.t.Helper()
	f.net.unplug(f.t, h.name)
	for _, p := range h.server.tree() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
	eventually(f.t, "nothing runs on host "+h.name, func() bool { return len(h.server.tree()) == 0 })
}

// restorePower brings the host back, with nothing of what it had.
func (f *fleet) restorePower(h *fleetHost, version int) {
	f.t.Helper()
	h.net = f.net.plug(f.t, h.name, h.addr)
	f.boot(h, version)
	f.waitReady(h)
}
