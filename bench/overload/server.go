package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const app = `
import os
import time

service = int(os.environ["SERVICE_MS"]) / 1000


def app(environ, start_response):
    time.sleep(service)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

type server struct {
	address string
	cmd     *exec.Cmd
	dir     string
}

// startServer returns when the server answers.
func startServer(indrik string, r *result) (*server, error) {
	indrik, err := filepath.Abs(indrik)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "overload-")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(app), 0o644); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.address = l.Addr().String()
	l.Close()
	s.cmd = exec.Command(indrik, "--bind", s.address, "--workers", fmt.Sprint(r.Workers), "--queue-limit", fmt.Sprint(r.QueueLimit), "--log-level", "error", "app:app")
	s.cmd.Dir, s.cmd.Stderr = dir, os.Stderr
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("SERVICE_MS=%d", r.ServiceMS))
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + s.address + "/"); err == nil {
			resp.Body.Close()
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer", indrik)
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // if it is gone already, so be it
	_ = s.cmd.Wait()
	os.RemoveAll(s.dir)
}
