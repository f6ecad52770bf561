package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"indrik/bench/proctree"
	"indrik/bench/serve"
)

const app = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

// startServer returns a server that runs, and its address.
func startServer(indrik, dir string, k kind) (*serve.Server, string, error) {
	args := append([]string{"--workers", "2", "--keep-alive", "600"}, k.args...)
	if k.tls {
		certFile, keyFile, err := serve.Certificate(dir)
		if err != nil {
			return nil, "", err
		}
		args = append(args, "--certfile", certFile, "--keyfile", keyFile)
	}
	cmd, address, err := serve.Indrik(indrik, dir, app, args...)
	if err != nil {
		return nil, "", err
	}
	s, err := serve.Start(context.Background(), cmd, func() error {
		c, err := k.open(address)
		if err == nil {
			c.Close()
		}
		return err
	})
	return s, address, err
}

// front is the pid of a server's front.
func front(master int) (int, error) {
	table, err := proctree.Read("/proc")
	if err != nil {
		return 0, err
	}
	for _, pid := range table.Below(master) {
		if line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); strings.HasPrefix(string(line), "indrik: front") {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("process %d has no front", master)
}

// resident is how much memory of its own a process has, in bytes.
func resident(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no RssAnon", pid)
}
