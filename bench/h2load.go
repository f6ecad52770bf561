package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"indrik/bench/load"
)

// The clients of HTTP/2 are h2load's, of nghttp2: clients in Go would take more of the machine
// than the servers do.

const h2loadPackage = "nghttp2-client"

// h2loadTimeout bounds one run of h2load.
const h2loadTimeout = 30 * time.Second

// h2loadVersion asks the program of the system.
func h2loadVersion(ctx context.Context) (string, error) {
	text, err := output(ctx, "h2load", "--version")
	if err != nil {
		return "", errors.New("h2load is not installed (Debian: apt-get install nghttp2-client)")
	}
	return strings.TrimPrefix(text, "h2load nghttp2/"), nil
}

// An h2load is how its clients ask.
type h2load struct {
	connections, streams int
	path                 string
	window               int // bits of the windows of streams and connections; 0: the least
	want                 []byte
}

// run makes n requests, and returns what became of them. (To ask for a time does not end now and
// then, with h2load 1.52.) log is a file for their times.
func (h *h2load) run(ctx context.Context, s *server, n int, log string) (*load.Result, error) {
	args := []string{
		"-n", strconv.Itoa(n), "-c", strconv.Itoa(h.connections), "-m", strconv.Itoa(h.streams), "--log-file", log,
	}
	if h.window > 0 {
		args = append(args, "-w", strconv.Itoa(h.window), "-W", strconv.Itoa(h.window+2))
	}
	limited, cancel := context.WithTimeout(ctx, h2loadTimeout)
	defer cancel()
	text, err := output(limited, "h2load", append(args, "https://"+s.address.String()+h.path)...)
	if err != nil {
		return nil, err
	}
	times, err := readTimes(log)
	if err != nil {
		return nil, err
	}
	t, elapsed, err := h.tally(text, n)
	if err != nil {
		return nil, err
	}
	t.Latencies = times
	return &load.Result{Groups: []load.Tally{t}, Elapsed: elapsed}, nil
}

var (
	h2loadFinished = regexp.MustCompile(`(?m)^finished in ([0-9.]+)(s|ms), `)
	h2loadRequests = regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
	h2loadTraffic  = regexp.MustCompile(`(?m)^traffic: .*\((\d+)\) data$`)
)

// tally reads the report of h2load, which does not look at bodies: their size in total says
// whether they came.
func (h *h2load) tally(text string, wanted int) (t load.Tally, elapsed time.Duration, err error) {
	finished, requests, traffic := h2loadFinished.FindStringSubmatch(text), h2loadRequests.FindStringSubmatch(text), h2loadTraffic.FindStringSubmatch(text)
	if finished == nil || requests == nil || traffic == nil {
		return t, 0, fmt.Errorf("the report of h2load is not understood: %.200q", text)
	}
	if !strings.Contains(text, "Application protocol: h2\n") {
		return t, 0, errors.New("the server did not agree on HTTP/2")
	}
	if elapsed, err = time.ParseDuration(finished[1] + finished[2]); err != nil {
		return t, 0, err
	}
	var n [5]int // done, succeeded, failed, errored, timeout
	for i := range n {
		if n[i], err = strconv.Atoi(requests[i+1]); err != nil {
			return t, 0, err
		}
	}
	data, err := strconv.ParseInt(traffic[1], 10, 64)
	if err != nil {
		return t, 0, err
	}
	clients := h.connections * h.streams
	t = load.Tally{Clients: clients, Connections: h.connections, Held: h.connections, Answers: n[1], Errors: map[load.Kind]int{}}
	if failed := n[2] + n[3] + n[4]; failed > 0 {
		t.Errors[load.Wrong], t.FirstError = failed, fmt.Sprintf("h2load: %s", requests[0])
	}
	if lost := wanted - n[0]; lost > 0 {
		t.Errors[load.Lost], t.FirstError = lost, fmt.Sprintf("h2load: %s", requests[0])
	}
	if size := int64(n[1]) * int64(len(h.want)); data < size {
		t.Errors[load.Truncated], t.FirstError = 1, fmt.Sprintf("%d answers have %d bytes, not %d", n[1], data, size)
	}
	return t, elapsed, nil
}

// readTimes reads the log of h2load: lines of the time of a request, the status, and the
// microseconds that the answer took.
func readTimes(name string) ([]time.Duration, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var times []time.Duration
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		parts := strings.Fields(lines.Text())
		if len(parts) != 3 {
			return nil, fmt.Errorf("%s: a line %q", name, lines.Text())
		}
		micros, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		times = append(times, time.Duration(micros)*time.Microsecond)
	}
	slices.Sort(times)
	return times, nil
}

// measure runs the server and its clients.
func (h *h2load) measure(ctx context.Context, b *bed) (*run, error) {
	if _, err := exec.LookPath("h2load"); err != nil {
		return nil, errors.New(b.e.absent[h2loadPackage])
	}
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		log := filepath.Join(b.o.Dir, "h2load.log")
		defer os.Remove(log)
		warm, err := h.run(ctx, s, 16*h.connections*h.streams, log)
		if err != nil {
			return nil, err
		}
		// As many as take about as long as is to be measured.
		n := int(float64(warm.Groups[0].Answers) * b.length().Seconds() / warm.Elapsed.Seconds())
		m := meter{pid: s.Process.Pid}
		m.start()
		result, err := h.run(ctx, s, max(n, h.connections*h.streams), log)
		m.stop()
		return figures(result, &m, err)
	})
}
