package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"indrik/bench/serve"
)

// TestMain lets the test binary play a server: `serve kind address`.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		fakeServer(os.Args[2], os.Args[3])
	}
	if err := serve.AdoptOrphans(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// askedAgain is a file that the server makes, where it runs, once its first answer was not the
// right one.
const askedAgain = "asked-again"

func fakeServer(kind, bind string) {
	text := string(hello)
	var served atomic.Int32
	switch kind {
	case "broken":
		fmt.Println("I cannot | start")
		os.Exit(3)
	case "wrong":
		text = "another app"
	}
	panic(http.ListenAndServe(bind, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if kind == "wrong" && served.Add(1) == 2 {
			_ = os.WriteFile(askedAgain, nil, 0o644)
		}
		fmt.Fprint(w, text)
	})))
}

func fakePeer(kind string) peer {
	return peer{Name: kind, Interface: wsgi, command: func(_ *environment, s *setup) []string {
		return []string{os.Args[0], "serve", kind, s.address()}
	}}
}

func startFake(t *testing.T, ctx context.Context, dir, kind string) (*server, error) {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	if err := os.Mkdir(dir+"/logs", 0o755); err != nil {
		t.Fatal(err)
	}
	p := fakePeer(kind)
	return startServer(ctx, &environment{apps: dir}, &p, &setup{App: "hello", Dir: dir})
}

func TestServerDoesNotStart(t *testing.T) {
	for _, c := range []struct{ kind, error string }{
		{"broken", `it ended at once; the end of its log: "I cannot | start"`},
		{"wrong", "another app"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			dir := t.TempDir()
			go func() {
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(dir, askedAgain)); err == nil {
						cancel()
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
			if _, err := startFake(t, ctx, dir, c.kind); err == nil || !strings.Contains(err.Error(), c.error) {
				t.Errorf("error %v, want %q", err, c.error)
			}
		})
	}
}

// A whole run against a server of the test's own: the figures fit together.
func TestMeasure(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/logs", 0o755); err != nil {
		t.Fatal(err)
	}
	o := options{Dir: dir, Rounds: 2, Measure: time.Second, Limit: 5 * time.Minute}
	works, err := choose(allWorkloads, "hello-oneshot", func(w workload, word string) bool { return w.Name == word })
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{apps: dir, absent: map[string]string{"gone": "not there"}}
	peers := []peer{fakePeer("plain"), {Name: "absent", Needs: "gone"}, fakePeer("broken")}
	r := &report{Order: []string{"plain", "absent", "broken"}}
	saved := 0
	save := func() error {
		saved++
		r.finish(nil)
		return nil
	}
	if err := measureAll(t.Context(), o, e, peers, works, r, save); err != nil {
		t.Fatal(err)
	}
	if saved != 1 {
		t.Errorf("saved %d times, after one workload", saved)
	}
	if len(r.Rows) != 2 || r.Rows[0].Peer != "plain" || r.Rows[1].Peer != "broken" {
		t.Fatalf("rows %+v", r.Rows)
	}
	plain := r.Runs[0]
	if plain.Failed > 0 || plain.Starved > 0 || plain.Answers == 0 || plain.ServerCPU <= 0 || plain.ClientCPU <= 0 {
		t.Errorf("%+v", plain)
	}
	if plain.Millis["p50"] > plain.Millis["p99"] || plain.Millis["p99"] > plain.Millis["max"] || plain.Millis["max"] > plain.MaxMillis {
		t.Errorf("percentiles %v", plain.Millis)
	}
	marks := strings.Join(r.Rows[1].Marks, " ")
	if !strings.Contains(marks, "round 1 failed: broken: it ended at once") || !strings.Contains(marks, "round 2 failed: not tried again") {
		t.Errorf("marks of a server that does not start: %q", marks)
	}
}
