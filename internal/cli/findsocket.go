package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"indrik/internal/control"
)

// probeTimeout is how long a socket that may be a control socket has to say so.
const probeTimeout = 2 * time.Second

// socketOf returns the control socket of the server whose pid is in a file. The kernel lists
// all unix sockets that somebody listens on, and tells who made one to whoever connects;
// what other processes listen on is not spoken to.
func socketOf(ctx context.Context, pidfile string) (string, error) {
	text, err := os.ReadFile(pidfile)
	if err != nil {
		return "", err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 {
		return "", fmt.Errorf("%s holds no pid: %.20q", pidfile, text)
	}
	paths, err := listeningSockets()
	if err != nil {
		return "", fmt.Errorf("the control socket of process %d cannot be found: %w; give it by -s", pid, err)
	}
	// As a rule its name says what it is; an app may be served by unix sockets, too.
	slices.SortStableFunc(paths, func(a, b string) int { return strings.Count(b, ".ctl") - strings.Count(a, ".ctl") })
	for _, path := range paths {
		if isControlSocket(ctx, path, pid) {
			return path, nil
		}
	}
	if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("process %d, which %s names, has ended", pid, pidfile)
	}
	return "", fmt.Errorf("process %d, which %s names, has no control socket that this user may use: start the server with --control-socket PATH", pid, pidfile)
}

// listeningSockets returns the paths of the unix sockets that processes listen on (proc(5),
// /proc/net/unix).
func listeningSockets() ([]string, error) {
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const accepts = "00010000" // of the flags: __SO_ACCEPTCON
	var paths []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), " ", 8)
		if i := strings.IndexByte(lines.Text(), '/'); i >= 0 && len(fields) == 8 && fields[3] == accepts {
			paths = append(paths, lines.Text()[i:])
		}
	}
	return paths, nil
}

// isControlSocket reports whether the process pid takes commands on a socket.
func isControlSocket(ctx context.Context, path string, pid int) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client, err := control.Dial(ctx, path)
	if err != nil {
		return false
	}
	defer client.Close()
	if peer, err := client.Peer(); err != nil || peer.Pid != pid {
		return false
	}
	var stats struct{ PID int }
	return client.Call(ctx, &stats, "show", "stats") == nil && stats.PID == pid
}
