package front

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"indrik/internal/appmetrics"
	"indrik/internal/wire"
)

// metricsFile is a file with one value.
func metricsFile(t *testing.T, key string, value float64) *os.File {
	t.Helper()
	data := binary.NativeEndian.AppendUint32(make([]byte, 8), uint32(len(key)))
	data = append(data, key+strings.Repeat(" ", 8-(len(key)+4)%8)...)
	data = binary.NativeEndian.AppendUint64(data, math.Float64bits(value))
	data = binary.NativeEndian.AppendUint64(data, 0)
	binary.NativeEndian.PutUint32(data, uint32(len(data)))
	return fileOf(t, data)
}

func fileOf(t *testing.T, data []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	must(t, os.WriteFile(path, data, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	return f
}

// gather has the front gather metrics, with what the master answers to the question.
func (r *rig) gather(answer func(question int)) (families []appmetrics.Family) {
	r.t.Helper()
	done := make(chan struct{})
	go func() {
		families = r.s.appMetrics.gather(context.Background())
		close(done)
	}()
	m := <-r.said
	if m.Type != wire.TypeAppMetrics || m.Ask == 0 {
		r.t.Fatalf("the front says %+v", m)
	}
	answer(m.Ask)
	<-done
	return families
}

const hitsKey = `["hits", "hits_total", {}, ""]`

func TestAppMetricsComeInParts(t *testing.T) {
	r := newRig(t, 0)
	for range 2 {
		got := r.gather(func(question int) {
			send := func(more bool, names []string, files ...*os.File) {
				r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: question, Names: names, More: more}, files...)
			}
			r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: question - 1, Names: []string{"counter_0.db"}}, metricsFile(t, hitsKey, 100))
			send(true, []string{"counter_1.db", "nonsense"}, metricsFile(t, hitsKey, 1), metricsFile(t, hitsKey, 1000))
			send(true, nil)
			send(false, []string{"counter_2.db", "counter_3.db", "counter_4.db"},
				metricsFile(t, hitsKey, 2), fileOf(t, []byte{40, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9}), metricsFile(t, `["hits`, 4))
		})
		if len(got) != 1 || got[0].Name != "hits_total" || got[0].Series[0].Value != 3 {
			t.Errorf("the metrics are %+v", got)
		}
	}
	for _, text := range []string{
		"The app's metrics: the file counter_3.db is left out: it ends after 12 of 40 bytes",
		"The app's metrics: a key is not the JSON that it should be",
	} {
		if strings.Count(r.log.String(), text) != 1 {
			t.Errorf("the log does not say once: %s", text)
		}
	}
}

// A master that does not answer, and one that answers late, or more than can be.
func TestAppMetricsOfAMasterThatFails(t *testing.T) {
	r := newRig(t, 0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		if got := r.s.appMetrics.gather(ctx); got != nil {
			t.Errorf("the metrics are %+v", got)
		}
		close(done)
	}()
	late := (<-r.said).Ask
	r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: late, Names: []string{"counter_1.db"}, More: true}, metricsFile(t, hitsKey, 1))
	r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: late, Names: []string{"counter_1.db", "counter_2.db"}}, metricsFile(t, hitsKey, 1))
	cancel()
	<-done
	r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: late, Names: []string{"counter_1.db"}}, metricsFile(t, hitsKey, 1))
	got := r.gather(func(question int) {
		for range appmetrics.MaxFiles + 10 {
			r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: question, More: true})
		}
		r.master.Send(wire.ToFront{Type: wire.TypeAppMetrics, Ask: question, Names: []string{"counter_1.db"}}, metricsFile(t, hitsKey, 1))
	})
	if len(got) > 1 {
		t.Errorf("the metrics are %+v", got)
	}
	if !strings.Contains(r.log.String(), `control message "app_metrics" came with 1 descriptors`) {
		t.Error("the log does not tell of files that are missing")
	}
}

func TestMetricsOfEndedProcessesAreCondensed(t *testing.T) {
	r := newRig(t, 0)
	out := fileOf(t, nil)
	r.master.SendKeeping(wire.ToFront{Type: wire.TypeCondense, Call: 1, Names: []string{"counter_ended.db"}},
		out, metricsFile(t, hitsKey, 1), metricsFile(t, hitsKey, 2), fileOf(t, []byte{40, 0, 0, 0, 0, 0, 0, 0}))
	<-r.synced
	data, err := appmetrics.ReadUsed(out)
	must(t, err)
	m := appmetrics.NewMerger(func(text string) { t.Error(text) })
	must(t, m.Add(appmetrics.Name{Type: appmetrics.Counter, Process: "ended"}, data))
	if got := m.Families(); len(got) != 1 || got[0].Series[0].Value != 3 {
		t.Errorf("the file says %+v", got)
	}
	for _, names := range [][]string{nil, {"nonsense"}} {
		r.master.Send(wire.ToFront{Type: wire.TypeCondense, Call: 2, Names: names}, fileOf(t, nil))
		if m := <-r.said; m.Type != wire.TypeFailed || m.Call != 2 {
			t.Errorf("%q: %+v", names, m)
		}
	}
	readOnly, err := os.Open(os.DevNull)
	must(t, err)
	r.master.Send(wire.ToFront{Type: wire.TypeCondense, Call: 3, Names: []string{"counter_ended.db"}}, readOnly)
	if m := <-r.said; m.Type != wire.TypeFailed || !strings.Contains(m.Error, "bad file descriptor") {
		t.Errorf("what cannot be written: %+v", m)
	}
}
