//go:build linux

package harness

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

// A Fleet is several hosts with a server each, two with balancers and one with clients. Each
// host is a network namespace.
type Fleet struct {
	T           *testing.T
	binary      string
	net         netswitch
	Hosts       []*FleetHost
	Clients     *NetNS
	AdminSocket string // where it answers its operators, a unix socket
	nginxPID    int
	nginxDir    string
}

// A FleetHost is a host with a server, as a pod of Kubernetes has one.
type FleetHost struct {
	Name   string // a, b, c
	Addr   string
	net    *NetNS
	Server *Server
	out    bool // the balancers have been told to leave it alone
}

const (
	// FleetHAProxy and FleetNginx are the addresses of the balancers.
	FleetHAProxy = "10.98.0.11"
	FleetNginx   = "10.98.0.12"
	fleetClients = "10.98.0.13"

	// endpointDelay is how long after TERM the balancers learn of it: what it takes from the
	// end of a pod to the last kube-proxy and ingress.
	endpointDelay = 2 * time.Second

	// FleetSilence is how long the balancers wait for a server that says nothing.
	FleetSilence = 6 * time.Second
)

// NewFleet makes the hosts, starts the servers with the first version of the code, and the
// balancers.
func NewFleet(t *testing.T) *Fleet {
	t.Helper()
	f := &Fleet{T: t, net: newSwitch(t), binary: filepath.Join(TempDir(t), "indrik")}
	// Without the race detector, which would leave no time for as many requests.
	build := exec.Command("go", "build", "-o", f.binary, "./cmd/indrik")
	build.Dir = Repository
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for i, name := range []string{"a", "b", "c"} {
		h := &FleetHost{Name: name, Addr: fmt.Sprintf("10.98.0.%d", i+1)}
		h.net = f.net.plug(t, name, h.Addr)
		f.Hosts = append(f.Hosts, h)
		f.boot(h, 1)
	}
	f.Clients = f.net.plug(t, "clients", fleetClients)
	for _, h := range f.Hosts {
		f.waitReady(h)
	}
	f.startHAProxy(f.net.plug(t, "haproxy", FleetHAProxy))
	f.startNginx(f.net.plug(t, "nginx", FleetNginx))
	return f
}

// boot starts the server of a host with a version of the code. It has the variables of the
// manifests, and that of a pod, for which drain_delay is 5.
func (f *Fleet) boot(h *FleetHost, version int) {
	f.T.Helper()
	err := h.net.inside(func() error {
		h.Server = Launch(f.T, Options{
			App: "fleet:app", Binary: f.binary, NoProbe: true, Bind: []string{h.Addr + ":8000"},
			Files: map[string]string{"version": strconv.Itoa(version)},
			Env: []string{
				"INDRIK_WORKERS=2", "INDRIK_HEALTH_PATH=/-/health", "KUBERNETES_SERVICE_HOST=10.98.0.100",
				"HOST_NAME=" + h.Name,
			},
		})
		return nil
	})
	Must(f.T, err)
}

// ask makes a request of a client's.
func (f *Fleet) ask(addr, target string) (*Response, error) {
	c, err := f.Clients.Dial(addr, Patience)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, FormatRequest("GET", target, "", "Connection: close")); err != nil {
		return nil, err
	}
	return ReadResponse(c.Reader, "GET")
}

func (f *Fleet) waitReady(h *FleetHost) {
	f.T.Helper()
	Eventually(f.T, "host "+h.Name+" is ready", func() bool {
		r, err := f.ask(h.Addr+":8000", "/-/health/readyz")
		return err == nil && r.Status == 200
	})
}

// program starts a program on a host.
func (f *Fleet) program(n *NetNS, dir string, args ...string) (pid int) {
	f.T.Helper()
	Must(f.T, n.inside(func() error {
		pid = RunProgram(f.T, dir, nil, args...)
		return nil
	}))
	return pid
}

// startHAProxy starts HAProxy with the block of the page. What it adds is where it listens,
// which host had a request, and that it asks only whether a host lives: the news that one
// leaves comes from the test.
func (f *Fleet) startHAProxy(n *NetNS) {
	dir := TempDir(f.T)
	f.AdminSocket = filepath.Join(dir, "admin.sock")
	block := ReplaceAll(f.T, PageBlock(f.T, "kubernetes.md", "fleet HAProxy"),
		"/run/haproxy/admin.sock", f.AdminSocket, "bind :80\n", "bind "+FleetHAProxy+":80\n    http-after-response set-header X-Tried %[srv_name]\n",
		"/readyz", "/livez", "timeout server 35s", fmt.Sprintf("timeout server %dms", FleetSilence.Milliseconds()),
		"10.0.0.", "10.98.0.")
	path := filepath.Join(dir, "haproxy.cfg")
	Must(f.T, os.WriteFile(path, []byte(block+"\n"), 0o644))
	f.program(n, dir, FindProgram(f.T, "haproxy"), "-db", "-f", path)
	f.waitBalancer(FleetHAProxy)
}

// startNginx starts nginx with the block of the page; the list of hosts is a file of its own.
func (f *Fleet) startNginx(n *NetNS) {
	f.nginxDir = TempDir(f.T)
	upstream, server, _ := strings.Cut(PageBlock(f.T, "kubernetes.md", "fleet nginx"), "\nserver {")
	f.writeNginx(upstream)
	server = ReplaceAll(f.T, "server {"+server, "listen 80", "listen "+FleetNginx+":80", "proxy_read_timeout 35s",
		fmt.Sprintf("proxy_read_timeout %dms;\n        add_header X-Tried $upstream_addr always", FleetSilence.Milliseconds()))
	Must(f.T, os.WriteFile(filepath.Join(f.nginxDir, "nginx.conf"), fmt.Appendf(nil, `daemon off; worker_processes 1; pid %[1]s/nginx.pid; error_log stderr;
user root;
events {}
http {
    access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
    keepalive_requests 1000000;
    include %[1]s/upstream;
%[2]s
}
`, f.nginxDir, server), 0o644))
	f.nginxPID = f.program(n, f.nginxDir, FindProgram(f.T, "nginx"), "-c", filepath.Join(f.nginxDir, "nginx.conf"), "-p", f.nginxDir)
	f.waitBalancer(FleetNginx)
}

func (f *Fleet) waitBalancer(addr string) {
	f.T.Helper()
	Eventually(f.T, "the balancer "+addr+" answers", func() bool {
		r, err := f.ask(addr+":80", "/first")
		return err == nil && r.Status == 200
	})
}

// writeNginx writes the list of hosts from the block of the page: those that are out are down.
func (f *Fleet) writeNginx(block string) {
	f.T.Helper()
	block = ReplaceAll(f.T, block, "10.0.0.", "10.98.0.")
	for _, h := range f.Hosts {
		if h.out {
			block = ReplaceAll(f.T, block, h.Addr+":8000", h.Addr+":8000 down")
		}
	}
	Must(f.T, os.WriteFile(filepath.Join(f.nginxDir, "upstream"), []byte(block), 0o644))
}

// steer tells both balancers which hosts are in and which are out, as an ingress controller
// does: one by its runtime interface, one by a reload.
func (f *Fleet) steer() {
	f.T.Helper()
	for _, h := range f.Hosts {
		state := "ready"
		if h.out {
			state = "maint"
		}
		f.admin(fmt.Sprintf("set server shop/%s state %s", h.Name, state))
	}
	upstream, _, _ := strings.Cut(PageBlock(f.T, "kubernetes.md", "fleet nginx"), "\nserver {")
	f.writeNginx(upstream)
	Kill(f.T, f.nginxPID, syscall.SIGHUP)
}

// admin gives HAProxy an order.
func (f *Fleet) admin(order string) string {
	f.T.Helper()
	c, err := net.DialTimeout("unix", f.AdminSocket, Patience)
	Must(f.T, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(Patience))
	_, err = io.WriteString(c, order+"\n")
	Must(f.T, err)
	answer, err := io.ReadAll(c)
	Must(f.T, err)
	return string(answer)
}

// Stat returns a figure of HAProxy's about a server of the backend, or of BACKEND.
func (f *Fleet) Stat(server, figure string) string {
	f.T.Helper()
	table, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(f.admin("show stat"), "# "))).ReadAll()
	Must(f.T, err)
	for _, row := range table {
		if at := slices.Index(table[0], figure); at >= 0 && row[0] == "shop" && row[1] == server {
			return row[at]
		}
	}
	f.T.Fatalf("HAProxy has no %s of %s", figure, server)
	return ""
}

// Again returns how many requests HAProxy has sent a second time, to the same server or to
// another one.
func (f *Fleet) Again() int {
	f.T.Helper()
	sum := 0
	for _, figure := range []string{"wretr", "wredis"} {
		n, err := strconv.Atoi(f.Stat("BACKEND", figure))
		Must(f.T, err)
		sum += n
	}
	return sum
}

// Roll replaces the code of some hosts at the same time: TERM, two seconds later the balancers
// hear of it, and when the old servers have ended new ones start.
func (f *Fleet) Roll(version int, hosts ...*FleetHost) {
	f.T.Helper()
	for _, h := range hosts {
		h.Server.Signal(syscall.SIGTERM)
	}
	time.Sleep(endpointDelay)
	for _, h := range hosts {
		h.out = true
		if !h.Server.Running() {
			f.T.Errorf("host %s has ended before the balancers know", h.Name)
		}
	}
	f.steer()
	for _, h := range hosts {
		h.Server.ExpectExit(0)
		f.boot(h, version)
	}
	for _, h := range hosts {
		f.waitReady(h)
		h.out = false
	}
	f.steer()
}

// CutPower takes a host away in the midst of what it does.
func (f *Fleet) CutPower(h *FleetHost) {
	f.T.Helper()
	f.net.unplug(f.T, h.Name)
	for _, p := range h.Server.Tree() {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
	}
	Eventually(f.T, "nothing runs on host "+h.Name, func() bool { return len(h.Server.Tree()) == 0 })
}

// RestorePower brings the host back, with nothing of what it had.
func (f *Fleet) RestorePower(h *FleetHost, version int) {
	f.T.Helper()
	h.net = f.net.plug(f.T, h.Name, h.Addr)
	f.boot(h, version)
	f.waitReady(h)
}
