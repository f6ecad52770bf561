//go:build linux

package test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// socketPackages are the packages by which apps of WSGI have WebSockets, and their clients.
var socketPackages = []string{
	"flask==3.1.3", "flask-sock==0.7.0", "flask-socketio==5.7.0", "gevent==26.9.0", "gevent-websocket==0.10.1",
	"python-engineio==4.15.1", "python-socketio==5.18.1", "requests==2.34.2", "simple-websocket==1.1.0", "websocket-client==1.9.2",
	"websockets==17.4", "wsproto==1.3.2",
}

// TestAllWSGISocketPackages: the packages work as they are, and their own clients find
// WebSockets and no long polling.
func TestAllWSGISocketPackages(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("needs INDRIK_TEST_ALL=1, and PyPI")
	}
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	pip(t, env, socketPackages...)
	python := filepath.Join(env, "bin", "python")
	const flaskSock = "echo True\necho True\necho True\necho True\nsubprotocol chat\nstill\nstill\nstill\nclosed 4001 as you like\nbye\nclosed 1000\n"
	const socketIO = "transports websocket websocket\nacknowledged\ntold True True\n"
	for _, tt := range []struct {
		which string
		args  []string
		want  string
	}{
		{"flask-sock", []string{"-k", "gthread", "--threads", "8"}, flaskSock},
		{"flask-sock", []string{"-k", "gevent"}, flaskSock},
		{"flask-socketio threading", []string{"--threads", "32"}, socketIO + socketIO},
		{"flask-socketio gevent", []string{"-k", "gevent"}, socketIO + socketIO},
		{"flask-socketio gevent no-geventwebsocket", []string{"-k", "gevent"}, socketIO + socketIO},
		{"resource", []string{"-k", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"}, "all: one\nall: hello all: hello\n"},
	} {
		t.Run(tt.which+" "+tt.args[1], func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "wsgilibraries.sockets:app", Python: python, Args: tt.args, Env: []string{"SOCKETS=" + tt.which}})
			if got := s.Get("/"); got != "plain" {
				t.Errorf("GET /: %q", got)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			drive := exec.CommandContext(ctx, python, filepath.Join(harness.Repository, "test", "apps", "wsgilibraries", "drive.py"), tt.which, "http://"+s.Address)
			out, err := drive.CombinedOutput()
			if err != nil || string(out) != tt.want {
				t.Errorf("%v\n%s", err, out)
			}
			if strings.HasPrefix(tt.which, "flask-socketio") {
				harness.Eventually(t, "the app has seen its clients leave", func() bool { return s.Log.Count("disconnected True") == 4 })
			}
			if n := s.Log.Count("Traceback"); n != 0 {
				t.Errorf("%d tracebacks", n)
			}
			s.Terminate()
		})
	}
}
