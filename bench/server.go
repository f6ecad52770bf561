package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"indrik/bench/serve"
)

const (
	// answerTimeout is how long a server has for one answer before the load.
	answerTimeout = 15 * time.Second
	// settle is how long a server stays idle between its first answer and the
	// load, for workers that are not up yet.
	settle = 150 * time.Millisecond
)

// server is one that runs.
type server struct {
	*serve.Server
	address netip.AddrPort
	want    []byte // the answer to a GET of /
	tls     bool
}

// startServer returns when the server has given its first right answer. It must
// be called from the main thread, and what it returns stopped.
func startServer(ctx context.Context, e *environment, p *peer, config *setup) (*server, error) {
	address, err := serve.FreeAddress()
	if err != nil {
		return nil, err
	}
	config.Bind = address
	if p.Needs == "nginx" {
		if err := writeNginxConfig(e, config); err != nil {
			return nil, err
		}
	}
	command := p.command(e, config)
	logName := filepath.Join(config.Dir, "logs", strings.ReplaceAll(p.Name, " ", "-")+".log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = e.apps, e.vars()
	cmd.Stdout, cmd.Stderr = log, log
	s := &server{address: address, want: answerOf(config.App), tls: config.TLS}
	if s.Server, err = serve.Start(ctx, cmd, s.ask); err != nil {
		return nil, fmt.Errorf("%s: %w; the end of its log: %s", p.Name, err, lastWords(logName))
	}
	if !config.Hasty {
		if err := sleep(ctx, settle); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	return s, nil
}

// ask sends one request on a connection of its own.
func (s *server) ask() error {
	text, err := s.get("/")
	if err == nil && !bytes.Equal(text, s.want) {
		err = fmt.Errorf("answer %.40q", text)
	}
	return err
}

// get asks for a path on a connection of its own.
func (s *server) get(path string) ([]byte, error) {
	c, err := net.DialTimeout("tcp4", s.address.String(), time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if s.tls {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if err := c.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return nil, err
	}
	if _, err := c.Write(request("GET", path, nil, true)); err != nil {
		return nil, err
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("answer %s %.40q", r.Status, body)
	}
	return body, err
}

// lastWords is the end of a log on one line.
func lastWords(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return fmt.Sprintf("%q", text[max(0, len(text)-300):])
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
