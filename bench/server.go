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
	"slices"
	"strings"
	"syscall"
	"time"

	"indrik/bench/proctree"
)

const (
	startTimeout = 15 * time.Second
	stopTimeout  = 4 * time.Second
	// settle is how long a server stays idle between its first answer and the
	// load, for workers that are not up yet.
	settle = 150 * time.Millisecond
	// askEvery is how often a server that starts is asked.
	askEvery = 2 * time.Millisecond
)

// server is one that runs.
type server struct {
	address netip.AddrPort
	want    []byte // the answer to a GET of /
	tls     bool
	started time.Duration // from exec to the first right answer
	cmd     *exec.Cmd
	log     string
	ended   chan struct{} // closed when the first process has been reaped
}

// startServer returns when the server has given its first right answer. It must
// be called from the main thread, and what it returns stopped.
func startServer(ctx context.Context, e *environment, p *peer, config *setup) (*server, error) {
	address, err := freeAddress()
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
	s := &server{
		address: address, ended: make(chan struct{}), want: answerOf(config.App), tls: config.TLS,
		log: filepath.Join(config.Dir, "logs", strings.ReplaceAll(p.Name, " ", "-")+".log"),
	}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd = exec.Command(command[0], command[1:]...)
	s.cmd.Dir, s.cmd.Env = e.apps, e.vars()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = attributes()
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is told by its log
		close(s.ended)
	}()
	err = s.ready(ctx)
	s.started = time.Since(begun)
	if err == nil && !config.Hasty {
		err = sleep(ctx, settle)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w; the end of its log: %s", p.Name, err, s.lastWords()), s.stop())
	}
	return s, nil
}

// freeAddress is one of 127.0.0.1 that nobody listens on.
func freeAddress() (netip.AddrPort, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for a port: %w", err)
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %v", startTimeout))
	defer cancel()
	for {
		err := s.ask()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(askEvery):
		}
	}
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
	if err := c.SetDeadline(time.Now().Add(startTimeout)); err != nil {
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

// stop ends the server as its operator would, and kills what is left after
// stopTimeout, which is an error.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	for deadline := time.Now().Add(stopTimeout); len(remaining()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes were killed, %v after SIGTERM", endAll(), stopTimeout)
		}
	}
	<-s.ended
	return nil
}

// remaining returns the processes below this one, children before parents, less
// those that have ended, which it reaps. As the subreaper of all that a server
// starts the bench is an ancestor of whatever the server leaves behind.
func remaining() []int {
	table, err := proctree.Read("/proc")
	if err != nil {
		return nil
	}
	var alive []int
	for _, pid := range slices.Backward(table.Below(os.Getpid())) {
		// It fails with ECHILD for one that is not a child of the bench itself.
		if done, _ := syscall.Wait4(pid, nil, syscall.WNOHANG, nil); done != pid {
			alive = append(alive, pid)
		}
	}
	return alive
}

// endAll kills every process below this one, and returns how many there were.
func endAll() int {
	killed := make(map[int]bool)
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		alive := remaining()
		if len(alive) == 0 {
			break
		}
		for _, pid := range alive {
			if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
				killed[pid] = true
			}
		}
	}
	return len(killed)
}

// lastWords is the end of the server's log on one line.
func (s *server) lastWords() string {
	text, err := os.ReadFile(s.log)
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
