//go:build linux

package test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestKubernetesManifest: a server with the variables of deploy/kubernetes/deployment.yaml, as
// the kubelet gives them, answers its probes, and leaves within the time that it has there.
func TestKubernetesManifest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(harness.Repository, "deploy", "kubernetes", "deployment.yaml"))
	harness.Must(t, err)
	manifest := string(text)
	port, admin := harness.FreePort(t), harness.FreePort(t)
	env := []string{"KUBERNETES_SERVICE_HOST=10.0.0.1", "KUBERNETES_SERVICE_PORT=443"}
	for _, m := range regexp.MustCompile(`- name: (INDRIK_\w+)\n +value: "(.*)"\n`).FindAllStringSubmatch(manifest, -1) {
		value := strings.ReplaceAll(m[2], "0.0.0.0:8000", fmt.Sprintf("127.0.0.1:%d", port))
		env = append(env, m[1]+"="+strings.ReplaceAll(value, "0.0.0.0:9000", fmt.Sprintf("0.0.0.0:%d", admin)))
	}
	probes := regexp.MustCompile(`(\w+)Probe:\n +httpGet:\n +path: (\S+)\n +port: http\n`).FindAllStringSubmatch(manifest, -1)
	grace := regexp.MustCompile(`terminationGracePeriodSeconds: (\d+)`).FindStringSubmatch(manifest)
	if len(env) != 9 || len(probes) != 3 || grace == nil {
		t.Fatalf("the manifest has the variables %q, the probes %q", env, probes)
	}
	allow := regexp.MustCompile(`- name: INDRIK_ADMIN_ALLOW\n +value: "(.*)"\n`).FindStringSubmatch(manifest)
	if allow == nil {
		t.Fatal("the manifest has no INDRIK_ADMIN_ALLOW")
	}
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598; some clusters use it for pods
	for word := range strings.SplitSeq(allow[1], ",") {
		network, err := netip.ParsePrefix(word)
		if err != nil {
			network = netip.PrefixFrom(netip.MustParseAddr(word), 128)
		}
		if a := network.Addr(); !a.IsPrivate() && !a.IsLoopback() && network != shared {
			t.Errorf("the manifest lets addresses of the internet read the metrics: %s", word)
		}
	}
	s := harness.Launch(t, harness.Options{App: "hello:app", Env: env, Bind: []string{}})
	s.ListensOn(port)
	s.Ready()
	s.Workers(2)
	ask := func(path string) int {
		r, err := s.Request("GET", path, "")
		harness.Must(t, err)
		return r.Status
	}
	if r, err := harness.EndpointAt(t, admin).Request("GET", "/metrics", ""); err != nil || r.Status != 200 {
		t.Errorf("metrics, for whoever is in the pod: %v, %v", r, err)
	}
	ready := ""
	for _, p := range probes {
		if status := ask(p[2]); status != 200 {
			t.Errorf("the %s probe: %d", p[1], status)
		}
		if p[1] == "readiness" {
			ready = p[2]
		}
	}
	began := time.Now()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in 5s`)
	harness.Eventually(t, "it is not ready", func() bool { return ask(ready) == 503 })
	s.ExpectExit(0)
	seconds, _ := strconv.Atoi(grace[1])
	if took := time.Since(began); took < 4*time.Second || took > time.Duration(seconds)*time.Second {
		t.Errorf("it took %v to leave", took)
	}
}

// TestAllAgentCheck: HAProxy asks the host's agent of docs/kubernetes.md, which is the answer of
// `indrik healthcheck` in a word, and sends nothing more to a server that leaves.
func TestAllAgentCheck(t *testing.T) {
	t.Parallel()
	program := harness.NeedsProgram(t, "haproxy")
	s := harness.Start(t, harness.Options{Args: []string{"--health-path", "/-/health", "--drain-delay", "60"}})
	unit := regexp.MustCompile(`ExecStart=/bin/sh -c '(.*)'\n`).FindStringSubmatch(harness.PageBlock(t, "kubernetes.md", "agent."))
	if unit == nil {
		t.Fatal("the unit of the agent has no command")
	}
	script := harness.ReplaceAll(t, unit[1], "/usr/bin/indrik", harness.Command(t)[0], "127.0.0.1:8000", s.Address)
	agent := agentOf(t, script)
	// The lines of the page in the place of those that they are for.
	lines := strings.Split(strings.TrimSpace(harness.PageBlock(t, "kubernetes.md", "agent-check")), "\n")
	if len(lines) != 2 {
		t.Fatalf("the block has %d lines", len(lines))
	}
	block := harness.PageBlock(t, "kubernetes.md", "fleet HAProxy")
	for _, line := range lines {
		line = strings.TrimSpace(line)
		directive := strings.Join(strings.Fields(line)[:2], " ")
		if strings.HasPrefix(line, "default-server") {
			directive = "default-server"
		}
		block = regexp.MustCompile(`(?m)^    `+regexp.QuoteMeta(directive)+` .*$`).ReplaceAllLiteralString(block, "    "+line)
	}
	dir, port := harness.TempDir(t), harness.FreePort(t)
	block = harness.ReplaceAll(t, block, "/run/haproxy/admin.sock", filepath.Join(dir, "admin.sock"), "bind :80", fmt.Sprintf("bind 127.0.0.1:%d", port),
		"agent-port 9000", fmt.Sprintf("agent-port %d", agent), "10.0.0.1:8000", s.Address, "    server b 10.0.0.2:8000\n", "", "    server c 10.0.0.3:8000", "")
	harness.Must(t, os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(block+"\n"), 0o644))
	harness.RunProgram(t, dir, nil, program, "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	f := &harness.Fleet{T: t, AdminSocket: filepath.Join(dir, "admin.sock")}
	via := harness.EndpointAt(t, port)
	harness.Eventually(t, "the server is up", func() bool {
		if _, err := os.Stat(f.AdminSocket); err != nil {
			return false
		}
		return f.Stat("a", "status") == "UP" && f.Stat("a", "agent_status") == "L7OK"
	})
	if got := via.Get("/"); got == "" {
		t.Error("no answer")
	}
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in`)
	harness.Eventually(t, "the server is being drained, and not down", func() bool { return strings.HasPrefix(f.Stat("a", "status"), "DRAIN") })
	if r, err := via.Request("GET", "/", ""); err != nil || r.Status != 503 {
		t.Errorf("there is nobody else to send a request to, and the answer is %v, %v", r, err)
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}

// agentOf answers each connection with what a command prints, as a socket of systemd does with
// Accept=yes, and returns its port.
func agentOf(t *testing.T, script string) int {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)))
	harness.Must(t, err)
	var closed atomic.Bool
	done := make(chan struct{})
	t.Cleanup(func() {
		closed.Store(true)
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				if !closed.Load() {
					t.Errorf("the agent: %v", err)
				}
				return
			}
			cmd := exec.Command("/bin/sh", "-c", script)
			cmd.Env = append(os.Environ(), harness.BinaryEnv()...)
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("the agent: %v", err)
			}
			_, _ = c.Write(out)
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
