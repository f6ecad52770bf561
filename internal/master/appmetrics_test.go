package master

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"indrik/internal/appmetrics"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A metricsPart is the part of the master that has the app's metrics, with a front that keeps
// what it hears.
type metricsPart struct {
	*appMetrics
	t     *testing.T
	log   *bytes.Buffer
	heard []wire.ToFront
	files map[string]int // of which names came, how often
	write func(out *os.File)
}

func newMetricsPart(t *testing.T, values map[string]any) (*metricsPart, *settings.Config) {
	t.Helper()
	b, _, log := part()
	parent := t.TempDir()
	b.sys.metricsDir = func() (*appmetrics.Directory, error) { return appmetrics.Make(parent) }
	p := &metricsPart{t: t, log: log, files: map[string]int{}, write: func(*os.File) {}}
	conn := &fakeConn{inbox: make(chan []byte, 1), hear: func(data []byte, files []*os.File) {
		var msg wire.ToFront
		if err := json.Unmarshal(data, &msg); err != nil {
			t.Error(err)
		}
		p.heard = append(p.heard, msg)
		if msg.Type == wire.TypeCondense {
			p.write(files[0])
			return
		}
		if len(files) != len(msg.Names) {
			t.Errorf("%d files came with %q", len(files), msg.Names)
		}
		for _, name := range msg.Names {
			p.files[name]++
		}
	}}
	p.appMetrics = &appMetrics{base: b, front: &frontLink{base: b, current: &frontProcess{conn: conn, calls: map[int]func(wire.FromFront){}}}, reported: map[string]bool{}}
	t.Cleanup(p.close)
	return p, resolved(t, values)
}

func resolved(t *testing.T, values map[string]any) *settings.Config {
	t.Helper()
	cfg, err := settings.Resolve("app:app", settings.FromFile("test", values, nil))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// answer is the front's answer to what it was asked last.
func (p *metricsPart) answer(msg wire.FromFront) {
	msg.Call = p.front.current.last
	p.front.current.answered(msg)
}

// mine is the path of a file of this user's.
func (p *metricsPart) mine(name string) string {
	return filepath.Join(p.dir.Path(), strconv.Itoa(os.Geteuid()), name)
}

var withAdmin = map[string]any{"admin_bind": "127.0.0.1:1"}

func TestAppMetricsAreKeptOnlyWhereTheyAreShown(t *testing.T) {
	for _, values := range []map[string]any{{}, {"admin_bind": "127.0.0.1:1", "app_metrics": false}} {
		p, cfg := newMetricsPart(t, values)
		if dir := p.prepare(cfg); dir != "" || p.dir != nil {
			t.Errorf("%v: %q", values, dir)
		}
		p.ended(1)
		p.asked(1)
		if len(p.heard) != 1 || p.heard[0].Type != wire.TypeAppMetrics || p.heard[0].Ask != 1 || p.heard[0].More || len(p.files) != 0 {
			t.Errorf("%v: the front was told %+v", values, p.heard)
		}
	}
	p, cfg := newMetricsPart(t, withAdmin)
	dir := p.prepare(cfg)
	if dir == "" || dir != p.dir.Path() || dir != p.prepare(cfg) {
		t.Errorf("it is %q", dir)
	}
	p.close()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("at the end: %v", err)
	}
}

// asked is a question of the front.
func (p *metricsPart) asked(question int) { p.appMetrics.answer(question) }

// Without a directory the server serves, and the log says why once.
func TestAppMetricsWithoutADirectory(t *testing.T) {
	p, cfg := newMetricsPart(t, withAdmin)
	p.sys.metricsDir = func() (*appmetrics.Directory, error) { return nil, os.ErrPermission }
	for range 2 {
		if dir := p.prepare(cfg); dir != "" {
			t.Errorf("it is %q", dir)
		}
	}
	if strings.Count(p.log.String(), "The app's metrics are not shown: permission denied") != 1 {
		t.Errorf("the log says %s", p.log)
	}
}

func TestFrontGetsAllFiles(t *testing.T) {
	p, cfg := newMetricsPart(t, withAdmin)
	p.prepare(cfg)
	const n = 2*filesAtOnce + 1
	for i := range n {
		if err := os.WriteFile(p.mine("counter_w"+strconv.Itoa(i)+".db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", p.mine("counter_link.db")); err != nil {
		t.Fatal(err)
	}
	p.asked(7)
	for i, msg := range p.heard {
		if msg.Ask != 7 || msg.More != (i < len(p.heard)-1) || len(msg.Names) > filesAtOnce {
			t.Errorf("message %d of %d is %+v", i, len(p.heard), msg)
		}
	}
	if len(p.heard) != 3 || len(p.files) != n || p.files["counter_link.db"] != 0 {
		t.Errorf("%d files came in %d messages", len(p.files), len(p.heard))
	}
}

// What ended processes have left becomes one file, once the front has written that. A front that
// fails, or ends, changes nothing.
func TestMetricsOfEndedProcesses(t *testing.T) {
	p, cfg := newMetricsPart(t, withAdmin)
	p.prepare(cfg)
	end := func(pids ...int) {
		for _, pid := range pids {
			if err := os.WriteFile(p.mine("counter_"+strconv.Itoa(pid)+".db"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			p.ended(pid)
		}
	}
	end(1<<30+1, 1<<30+2, 1<<30+3, 1<<30+4, 1<<30+5, 1<<30+6, 1<<30+7)
	if len(p.heard) != 0 {
		t.Errorf("too early: %+v", p.heard)
	}
	end(1<<30 + 8)
	if len(p.heard) != 1 || p.heard[0].Names[0] != "counter_ended.db" {
		t.Fatalf("the front was told %+v", p.heard)
	}
	p.answer(wire.FromFront{Type: wire.TypeFailed, Error: "no space left on device"})
	if !strings.Contains(p.log.String(), "cannot be put together: Error: the front cannot take it: no space left on device") {
		t.Errorf("the log says %s", p.log)
	}
	end(1<<30 + 9)
	p.frontGone()
	p.answer(wire.FromFront{Type: wire.TypeOK}) // too late
	p.write = func(out *os.File) { out.WriteString("condensed") }
	end(1<<30 + 10)
	p.answer(wire.FromFront{Type: wire.TypeOK})
	entries, err := os.ReadDir(p.mine(""))
	if err != nil || len(entries) != 1 || entries[0].Name() != "counter_ended.db" {
		t.Errorf("the files are %v, %v", entries, err)
	}
	if data, err := os.ReadFile(p.mine("counter_ended.db")); string(data) != "condensed" {
		t.Errorf("it is %q, %v", data, err)
	}
	if len(p.heard) != 3 {
		t.Errorf("the front was told %d times", len(p.heard))
	}
}
