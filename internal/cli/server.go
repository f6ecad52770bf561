package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"indrik/internal/control"
)

// A server is the one that a sub-command is for: by its control socket, or by the file with its
// pid.
type server struct{ socket, pidfile string }

// complete takes from the environment what the command line does not say.
func (s *server) complete(lookup func(string) (string, bool)) error {
	if s.socket == "" && s.pidfile == "" {
		s.socket, _ = lookup("INDRIK_CONTROL_SOCKET")
	}
	switch {
	case s.socket != "" && s.pidfile != "":
		return errors.New("give the socket (-s) or the pid file (-p), not both")
	case s.socket == "" && s.pidfile == "":
		return errors.New("which server? Give its control socket (-s PATH) or its pid file (-p FILE), or set INDRIK_CONTROL_SOCKET; " +
			"a server has a control socket with --control-socket PATH")
	}
	return nil
}

// dial connects to the control socket of the server, or of its successor in an upgrade. A pid
// file is read each time, since another server may have taken it over.
func (s *server) dial(ctx context.Context, successor bool) (client *control.Client, err error) {
	path := s.socket
	if s.pidfile != "" {
		if path, err = socketOf(ctx, s.pidfile); err != nil {
			return nil, err
		}
	}
	if successor {
		path += ".2"
	}
	if client, err = control.Dial(ctx, path); err != nil {
		return nil, explain(err, path)
	}
	return client, nil
}

// explain says what is wrong with a socket that cannot be connected to.
func explain(err error, path string) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no control socket at %s: the server does not run, or has no control_socket, or another one", path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the control socket %s is another user's: use the account that started the server, or root", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody answers at %s: the server that made it has ended", path)
	}
	return err
}
