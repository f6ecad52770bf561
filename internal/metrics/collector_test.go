package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"indrik/internal/dispatch"
	"indrik/internal/status"
)

// server is a status with two workers.
func server() *status.Status {
	return &status.Status{
		Started: time.Unix(1000, 0), Generation: 3, Target: 2, Reloads: 4, FailedReloads: 1, Spawned: 9, Recycled: map[string]int{"max_requests": 5}, WouldRecycle: map[string]int{"max_worker_age": 2},
		LastReload:    &status.Reload{At: time.Unix(2000, 0)},
		DeathsByCause: map[status.Cause]int{status.CauseTimeout: 2},
		Scale:         &status.Scale{Least: 1, Most: 4, Offered: 1.5, Grown: 2, Shrunk: 1},
		Workers: []status.Worker{
			{PID: 11, Age: 7, State: "ready", Kind: "asgi", Uptime: 60, RSS: 1 << 20, PSS: 1 << 19, CPU: 1.5},
			{PID: 12, Age: 9, State: "booting"},
		},
	}
}

// collector returns a collector of a server with one request.
func collector(ask func(context.Context) (*status.Status, error)) *Collector {
	r := new(Recorder)
	r.Record(&Response{Method: []byte("GET"), Status: 200, Took: time.Second, Waited: 1, Ran: 1})
	return NewCollector(r, Sources{
		Front: func() status.Front {
			return status.Front{
				Pools: []status.Pool{{Name: "gpu", Calls: map[string]int{"done": 3}, Workers: []status.PoolWorker{{State: "ready", Busy: 1}}}}, Stash: &status.Stash{Bytes: 5},
				Queue: status.Queue{Length: 2, Oldest: 0.5}, Loads: map[int]status.Load{7: {Requests: 3, Errors: 1, InFlight: 1}},
			}
		},
		Usage: func() dispatch.Usage {
			return dispatch.Usage{Busy: 1, Capacity: 2, Loops: []dispatch.Loop{{Age: 7, PID: 11, Lag: time.Second}}}
		},
		Ready: func() bool { return true }, Status: ask,
	})
}

// A page has all metrics of the table and no other.
func TestPageHasTheTable(t *testing.T) {
	t.Parallel()
	families := collector(func(context.Context) (*status.Status, error) { return server(), nil }).Gather(t.Context())
	for i, f := range families {
		if i >= len(Table) || f.GetName() != Table[i].Name || f.GetType() != Table[i].Type {
			t.Fatalf("%s is not where the table has it", f.GetName())
		}
	}
	if len(families) != len(Table) {
		t.Errorf("%d metrics, the table has %d", len(families), len(Table))
	}
	for i := range Table {
		if i > 0 && Table[i-1].Name >= Table[i].Name {
			t.Errorf("%s is not in its place", Table[i].Name)
		}
	}
}

// docs/observe.md has the table as it is.
func TestTableInTheDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/observe.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, m := range Table {
		labels := ""
		for i, l := range m.Labels {
			if i > 0 {
				labels += ", "
			}
			labels += "`" + l + "`"
		}
		want.WriteString("| `" + m.Name + "` | " + strings.ToLower(m.Type.String()) + " | " + labels + " | " + m.Help + " |\n")
	}
	_, rest, _ := strings.Cut(string(page), "| metric | type | labels | meaning |\n|---|---|---|---|\n")
	got, _, _ := strings.Cut(rest, "\n\n")
	if got+"\n" != want.String() {
		t.Errorf("it has:\n%s\n\nand should have:\n%s", got, want.String())
	}
}

// What the master does not say is missing; the rest is there.
func TestMasterThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for _, ask := range []func(context.Context) (*status.Status, error){
		nil,
		func(context.Context) (*status.Status, error) { return nil, errors.New("it does not") },
	} {
		p := &page{families: map[string]*dto.MetricFamily{}}
		for _, f := range collector(ask).Gather(t.Context()) {
			p.families[f.GetName()] = f
		}
		if up := written(t, p, "indrik_master_up")[""]; up != 0 {
			t.Errorf("it is up: %v", up)
		}
		if n := written(t, p, "indrik_http_requests_total")["http1 GET 200 "]; n != 1 {
			t.Errorf("%v requests", n)
		}
		if p.families["indrik_workers"] != nil {
			t.Error("there are workers")
		}
	}
}

// A master that takes for ever is waited for as long as it may take, by the one who asks first
// and by those who come meanwhile.
func TestSlowMaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := collector(func(ctx context.Context) (*status.Status, error) { <-ctx.Done(); return nil, ctx.Err() })
		begun := time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { c.Gather(t.Context()) })
		}
		all.Wait()
		if d := time.Since(begun); d != statusWait {
			t.Errorf("they took %s", d)
		}
	})
}

// However many ask, the master is asked once a second; one who leaves does not spoil it for
// the others.
func TestManyScrapers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := collector(func(ctx context.Context) (*status.Status, error) {
			asked.Add(1)
			select {
			case <-time.After(100 * time.Millisecond):
				return server(), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		left, leave := context.WithCancel(t.Context())
		leave()
		var all sync.WaitGroup
		for i := range 1000 {
			ctx := left
			if i%2 == 1 {
				ctx = t.Context()
			}
			all.Go(func() {
				for range 10 {
					if f := c.Gather(ctx); len(f) != len(Table) {
						t.Errorf("%d metrics", len(f))
					}
					time.Sleep(500 * time.Millisecond)
				}
			})
		}
		all.Wait()
		if n := asked.Load(); n < 4 || n > 6 {
			t.Errorf("in five seconds the master was asked %d times", n)
		}
	})
}

// A worker has the place of one that has gone.
func TestPlaces(t *testing.T) {
	t.Parallel()
	var p places
	of := func(ages ...int) (got []int) {
		workers := make([]status.Worker, len(ages))
		for i, age := range ages {
			workers[i].Age = age
		}
		all := p.of(workers)
		for _, age := range ages {
			got = append(got, all[age])
		}
		return got
	}
	for _, test := range []struct{ ages, want []int }{
		{[]int{1, 2, 3}, []int{0, 1, 2}},
		{[]int{1, 3, 4}, []int{0, 2, 1}},
		{[]int{4, 5, 6, 7}, []int{1, 0, 2, 3}},
		{nil, nil},
		{[]int{8}, []int{0}},
	} {
		got := of(test.ages...)
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%v are in %v, want %v", test.ages, got, test.want)
				break
			}
		}
	}
}

// Each format that Prometheus reads can be read back, with or without gzip.
func TestFormats(t *testing.T) {
	t.Parallel()
	c := collector(func(context.Context) (*status.Status, error) { return server(), nil })
	for accept, want := range map[string]string{
		"":           "text/plain; version=0.0.4",
		"text/plain": "text/plain; version=0.0.4",
		"application/openmetrics-text;version=1.0.0":                                                 "application/openmetrics-text; version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited": "application/vnd.google.protobuf",
	} {
		for _, coding := range []string{"", "gzip", "br, GZIP;q=0.5", "gzip;q=0"} {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept", accept)
			r.Header.Set("Accept-Encoding", coding)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
				t.Errorf("%q is answered with %q", accept, got)
			}
			body := w.Body.Bytes()
			if packed := w.Header().Get("Content-Encoding") == "gzip"; packed != (coding == "gzip" || strings.Contains(coding, "GZIP")) {
				t.Errorf("%q: packed is %v", coding, packed)
			} else if packed {
				unpacked, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(unpacked); err != nil {
					t.Fatal(err)
				}
			}
			if strings.HasPrefix(want, "application/openmetrics") {
				if !bytes.HasSuffix(body, []byte("# EOF\n")) || !bytes.Contains(body, []byte("\nindrik_http_requests_total{kind=\"http1\",method=\"GET\",status=\"200\"} 1.0\n")) {
					t.Errorf("OpenMetrics:\n%s", body)
				}
				continue
			}
			decoder := expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(expfmt.TypeTextPlain))
			if strings.Contains(want, "protobuf") {
				decoder = expfmt.NewDecoder(bytes.NewReader(body), expfmt.NewFormat(expfmt.TypeProtoDelim))
			}
			n := 0
			for ; ; n++ {
				var f dto.MetricFamily
				if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%q: %s", accept, err)
				}
				if !model.LegacyValidation.IsValidMetricName(f.GetName()) {
					t.Errorf("%q is no name", f.GetName())
				}
			}
			if n != len(Table) {
				t.Errorf("%q: %d metrics", accept, n)
			}
		}
	}
}

// A loop is as busy as its process, or as long as it could begin nothing, whichever is more,
// and never busier than time has passed.
func TestBusyShare(t *testing.T) {
	t.Parallel()
	cpu := map[int]time.Duration{}
	b := busyMeter{cpuOf: func(pid int) time.Duration { return cpu[pid] }}
	now := time.Unix(1000, 0)
	u := &dispatch.Usage{Loops: []dispatch.Loop{{Age: 1, PID: 10}, {Age: 2, PID: 20}}}
	step := func(d time.Duration, wantUsed, wantShare float64) {
		t.Helper()
		now = now.Add(d)
		u.Capacity += 2 * d.Seconds()
		used, share := b.read(u, now)
		if math.Abs(used-wantUsed) > 1e-9 || math.Abs(share-wantShare) > 1e-9 {
			t.Errorf("%v s were used and the share is %v, want %v s and %v", used, share, wantUsed, wantShare)
		}
	}
	step(0, 0, 0)
	cpu[10] = 4 * time.Second
	step(10*time.Second, 4, 4.0/20)
	u.Loops[1].Engaged = 6 * time.Second
	cpu[20] = 2 * time.Second
	step(10*time.Second, 10, 6.0/20)
	cpu[10] = time.Hour // many threads, or another process that has the pid now
	step(10*time.Second, 20, 10.0/20)
	cpu[10] = 0
	step(10*time.Second, 20, 0)
	u.Loops = u.Loops[:1] // the other has ended
	cpu[10] = time.Second
	step(time.Second, 21, 1.0/22) // the window has the 10 s before, too
	u.Busy = 5
	step(time.Second, 26, 6.0/24)
}

func TestTotals(t *testing.T) {
	t.Parallel()
	c := collector(nil)
	c.recorder.RecordUnread(HTTP1, 400)
	got := c.Totals()
	if got.Responses != [classes]uint64{0, 1, 0, 1, 0} || got.Capacity != 2 || got.Used != 1 {
		t.Errorf("%+v", got)
	}
	bounds := Bounds()
	for what, counts := range map[string][]uint64{"duration": got.Duration, "wait": got.Wait} {
		for i, n := range counts {
			if want := map[string]float64{"duration": 1, "wait": bounds[0]}[what]; n > 0 && (n != 1 || bounds[i] != want) {
				t.Errorf("%s: %d up to %v s", what, n, bounds[i])
			}
		}
	}
}

func BenchmarkGather(b *testing.B) {
	c := collector(func(context.Context) (*status.Status, error) { return server(), nil })
	for b.Loop() {
		c.madeAt = time.Time{}
		var out bytes.Buffer
		if err := Encode(&out, expfmt.NewFormat(expfmt.TypeTextPlain), c.Gather(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}
