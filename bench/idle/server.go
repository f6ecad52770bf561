package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const app = `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

type server struct {
	address string
	cmd     *exec.Cmd
	dir     string
}

// startServer returns when the server answers.
func startServer(indrik string, k kind) (*server, error) {
	indrik, err := filepath.Abs(indrik)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "idle-")
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
	args := append([]string{"--bind", s.address, "--workers", "2", "--keep-alive", "600", "--log-level", "error"}, k.args...)
	if k.tls {
		if err := writeCertificate(filepath.Join(dir, "cert.pem")); err != nil {
			return nil, err
		}
		args = append(args, "--certfile", "cert.pem")
	}
	s.cmd = exec.Command(indrik, append(args, "app:app")...)
	s.cmd.Dir, s.cmd.Stderr = dir, os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := k.open(s.address); err == nil {
			c.Close()
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer", indrik)
}

// writeCertificate writes a certificate for nobody, with its key.
func writeCertificate(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	return os.WriteFile(path, text, 0o600)
}

// front is the pid of the front.
func (s *server) front() (int, error) {
	// Children are listed with the thread that made them (proc(5)).
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, child := range strings.Fields(string(children)) {
			if line, _ := os.ReadFile("/proc/" + child + "/cmdline"); strings.HasPrefix(string(line), "indrik: front") {
				return strconv.Atoi(child)
			}
		}
	}
	return 0, fmt.Errorf("process %d has no front", s.cmd.Process.Pid)
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

func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // if it is gone already, so be it
	_ = s.cmd.Wait()
	os.RemoveAll(s.dir)
}
