// Package serve starts the servers that are measured, tells when they answer,
// and ends them with all that they have left behind.
//
// One server at a time: to stop it is to end every process below this one.
// A program that imports the package runs its main goroutine in the main
// thread, and must start servers from there: they get a signal when the thread
// that started them ends (prctl(2), PR_SET_PDEATHSIG).
package serve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const (
	startTimeout = 15 * time.Second
	stopTimeout  = 2 * time.Second
	// askEvery is how often a server that starts is asked.
	askEvery = 2 * time.Millisecond
)

func init() { runtime.LockOSThread() }

// A Server is one that runs.
type Server struct {
	Process *os.Process
	Started time.Duration // from exec to the first right answer

	ended chan struct{} // closed when the first process has been reaped
}

// Start starts cmd, and returns when ask has returned nil. ask makes one
// request on a connection of its own. If Start fails nothing is left running;
// what it returns must be stopped.
func Start(ctx context.Context, cmd *exec.Cmd, ask func() error) (*Server, error) {
	cmd.SysProcAttr = attributes()
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s := &Server{Process: cmd.Process, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is told by its log
		close(s.ended)
	}()
	if err := s.ready(ctx, ask); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.Started = time.Since(begun)
	return s, nil
}

func (s *Server) ready(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("no answer within %v", startTimeout))
	defer cancel()
	for {
		err := ask()
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

// Stop ends the server as its operator would, and kills what is left after
// some seconds, which is an error.
func (s *Server) Stop() error {
	_ = s.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	for deadline := time.Now().Add(stopTimeout); len(remaining()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().Before(deadline) {
			continue
		}
		if n := EndAll(); n > 0 {
			return fmt.Errorf("%d processes were killed, %v after SIGTERM", n, stopTimeout)
		}
	}
	<-s.ended
	return nil
}

// FreeAddress is one of 127.0.0.1 that nobody listens on. It is below the ports that the kernel
// gives to outgoing connections (ip_local_port_range of ip(7)), so that none of them has it before
// the server does.
func FreeAddress() (netip.AddrPort, error) {
	for range 100 {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(20000+rand.IntN(12000)))
		if l, err := net.Listen("tcp4", address.String()); err == nil {
			l.Close()
			return address, nil
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("looking for a port: %w", err)
	}
	defer l.Close()
	return netip.ParseAddrPort(l.Addr().String())
}

// Indrik is the command that serves an app of WSGI, and the address that it
// will have. The source of the app, with a function of that name, is written to
// dir, where the command runs.
func Indrik(program, dir, source string, args ...string) (*exec.Cmd, string, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(source), 0o644); err != nil {
		return nil, "", err
	}
	address, err := FreeAddress()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(program, append(append([]string{"--bind", address.String(), "--log-level", "error"}, args...), "app:app")...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	return cmd, address.String(), nil
}
