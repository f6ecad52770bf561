package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func serverOf(t *testing.T, handler http.HandlerFunc, change func(*http.Server)) *server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	change(s.Config)
	s.Start()
	t.Cleanup(s.Close)
	return &server{address: netip.MustParseAddrPort(s.Listener.Addr().(*net.TCPAddr).String()), want: hello}
}

func TestChecksPass(t *testing.T) {
	s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			w.Write(body)
			return
		}
		w.Write(hello)
	}, func(*http.Server) {})
	impatient := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(hello) },
		func(s *http.Server) { s.IdleTimeout = 50 * time.Millisecond })
	for name, err := range map[string]error{
		checkChunked: s.takesChunks(), checkKeeps: s.keeps(200), checkIdle: impatient.endsIdle(30 * time.Second),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChecksFail(t *testing.T) {
	var served atomic.Int32
	s := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		if served.Add(1) == 3 {
			w.Header().Set("Connection", "close")
		}
		if r.Method == http.MethodGet {
			w.Write(hello)
		}
	}, func(*http.Server) {})
	for _, c := range []struct{ name, got, want string }{
		{checkKeeps, finding(s.keeps(10)), "ends after 3 requests"},
		{checkChunked, finding(s.takesChunks()), "the app gets 0 of 64000 bytes"},
		{checkIdle, finding(s.endsIdle(100 * time.Millisecond)), "open after 100ms"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
	refuses := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) }, func(*http.Server) {})
	if got, want := finding(refuses.takesChunks()), "answers 501 Not Implemented"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestCheckOfClose(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	var closes atomic.Bool
	closes.Store(true)
	s := serverOf(t, func(w http.ResponseWriter, _ *http.Request) {
		f, err := os.OpenFile(calls, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		note := "a"
		if closes.Load() {
			note = "ac"
		}
		io.WriteString(f, note)
		w.Write(hello)
	}, func(*http.Server) {})
	if err := s.closes(t.Context(), calls); err != nil {
		t.Error(err)
	}
	closes.Store(false)
	if err := s.closes(t.Context(), calls); err == nil || !strings.Contains(err.Error(), "called for 10 of 20 responses") {
		t.Errorf("%v of a server that leaves close() out", err)
	}
}
