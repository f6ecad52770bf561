package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"indrik/internal/control"
	"indrik/internal/status"
	"indrik/internal/top"
)

// minInterval bounds what a terminal that is open costs the server.
const minInterval = 100 * time.Millisecond

// showTop shows the server until the operator quits.
func showTop(_ context.Context, c *call) error {
	if err := c.arguments(0); err != nil {
		return err
	}
	if c.interval < minInterval {
		return fmt.Errorf("--interval %s is too short: from %s on", c.interval, minInterval)
	}
	c.client.Close() // who comes later connects anew, when the server has been replaced, too
	shown := &shownServer{server: c.server, environ: c.environ}
	defer shown.close()
	return top.Run(top.Options{Server: shown, Interval: c.interval, In: os.Stdin, Out: os.Stdout, Environ: c.environ})
}

// A shownServer is the server that top shows. It keeps the connection for the status; each
// action has its own.
type shownServer struct {
	server
	environ []string

	mu sync.Mutex
	// +checklocks:mu
	client *control.Client // nil: to be connected
	// +checklocks:mu
	successor bool // is who client is connected to
}

// Status implements [top.Server].
func (s *shownServer) Status(ctx context.Context, successor bool) (*status.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && s.successor == successor {
		shown := &status.Status{}
		err := s.client.Call(ctx, shown, "status")
		if err == nil {
			return shown, nil
		}
		var refused *control.Error
		if errors.As(err, &refused) || ctx.Err() != nil {
			s.disconnectLocked()
			return nil, err
		}
	}
	// The connection has ended, perhaps with the server; another one may have its place.
	s.disconnectLocked()
	client, err := s.dial(ctx, successor)
	if err != nil {
		return nil, err
	}
	s.client, s.successor = client, successor
	shown := &status.Status{}
	if err := client.Call(ctx, shown, "status"); err != nil {
		s.disconnectLocked()
		return nil, told(err)
	}
	return shown, nil
}

// Do implements [top.Server]: it is the sub-command of that name.
func (s *shownServer) Do(ctx context.Context, successor bool, words ...string) (string, error) {
	client, err := s.dial(ctx, successor)
	if err != nil {
		return "", err
	}
	defer client.Close()
	var out bytes.Buffer
	err = runs[words[0]](ctx, &call{args: words[1:], client: client, stdout: &out, environ: s.environ})
	return strings.TrimSpace(out.String()), told(err)
}

// +checklocks:s.mu
func (s *shownServer) disconnectLocked() {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

func (s *shownServer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnectLocked()
}
