package liveview

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A played source counts ten responses more with each look.
type played struct {
	looks, asked atomic.Int64
	actions      atomic.Bool
}

func (p *played) source() Source {
	return Source{
		Version: "1.2.3", Front: 77, Actions: p.actions.Load,
		Counts: func() Counts {
			n := uint64(p.looks.Add(1))
			return Counts{
				Responses: [5]uint64{0, 10 * n, 0, 0, n}, Queue: int(n), Used: 1.5 * float64(n), Capacity: 2 * float64(n),
				Duration: Histogram{Bounds: []float64{0.1, 0.2}, Counts: []uint64{10 * n, 0, 0}},
			}
		},
		Status: func(context.Context) ([]byte, error) {
			p.asked.Add(1)
			return []byte("{\n \"state\": \"running\"\n}"), nil
		},
	}
}

// next returns the name and the data of the next event of a viewer.
func next(t *testing.T, w *viewer) (name, data string) {
	t.Helper()
	message, more := <-w.events
	if !more {
		t.Fatal("the viewer was dropped")
	}
	return split(t, string(message))
}

func split(t *testing.T, message string) (name, data string) {
	t.Helper()
	lines := strings.Split(message, "\n")
	if len(lines) != 4 || lines[2] != "" || lines[3] != "" {
		t.Fatalf("not an event: %q", message)
	}
	return strings.TrimPrefix(lines[0], "event: "), strings.TrimPrefix(lines[1], "data: ")
}

// run runs a view of a played source in a bubble, for the time of a test.
func run(t *testing.T, test func(t *testing.T, v *View, p *played)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &played{}
		v := New(p.source())
		ctx, end := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		synctest.Wait()
		test(t, v, p)
		end()
		<-done
		v.mu.Lock()
		left := len(v.viewers)
		v.mu.Unlock()
		if left != 0 || v.watch() != nil {
			t.Error("there are viewers of a view that has ended")
		}
	})
}

// A page that is opened has a past, and then gets what is new.
func TestPast(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, v *View, p *played) {
		time.Sleep(400*Interval + Interval/2)
		if p.asked.Load() != 0 {
			t.Error("the master was asked for the status while nobody watched")
		}
		w := v.watch()
		name, data := next(t, w)
		if name != "hello" || data != `{"actions":false,"front":77,"interval":1,"keep":300,"version":"1.2.3"}` {
			t.Errorf("%s %s", name, data)
		}
		name, data = next(t, w)
		var past []Sample
		if err := json.Unmarshal([]byte(data), &past); err != nil || name != "past" || len(past) != Keep {
			t.Fatalf("%s: %d samples, %v", name, len(past), err)
		}
		last := past[Keep-1]
		if last.Rates != [5]float64{0, 10, 0, 0, 1} || last.Responses != [5]uint64{0, 4010, 0, 0, 401} || last.Queue != 401 || last.Busy != 0.75 {
			t.Errorf("the last sample: %+v", last)
		}
		if !slices.Equal(last.Duration, []float64{0.05, 0.09, 0.099}) || last.Wait != nil {
			t.Errorf("quantiles %v and %v", last.Duration, last.Wait)
		}
		if span := last.At - past[0].At; span != Keep-1 {
			t.Errorf("the past is %v s long", span)
		}
		if name, data = next(t, w); name != "status" || data != `{"state":"running"}` {
			t.Errorf("%s %s", name, data)
		}
		name, data = next(t, w)
		var s Sample
		if err := json.Unmarshal([]byte(data), &s); err != nil || name != "sample" || s.At-last.At != 1 {
			t.Errorf("%s %s: %v", name, data, err)
		}
	})
}

// The status is asked for once for all viewers, and no more when they have left.
func TestOneQuestionForAllViewers(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, v *View, p *played) {
		all := []*viewer{}
		for range 5 {
			all = append(all, v.watch())
		}
		for range 10 {
			time.Sleep(statusInterval)
			synctest.Wait()
			for _, w := range all {
				for len(w.events) > 0 {
					<-w.events
				}
			}
		}
		asked := p.asked.Load()
		if asked < 10 || asked > 12 {
			t.Errorf("asked %d times in %v", asked, 10*statusInterval)
		}
		for _, w := range all {
			v.leave(w)
		}
		time.Sleep(time.Minute)
		if n := p.asked.Load(); n != asked {
			t.Errorf("asked %d times more without viewers", n-asked)
		}
	})
}

// A page learns that there are actions now, or are none any more.
func TestActionsComeAndGo(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, v *View, p *played) {
		w := v.watch()
		for _, now := range []string{"false", "true", "false"} {
			p.actions.Store(now == "true")
			for {
				name, data := next(t, w)
				if name == "hello" {
					if !strings.Contains(data, `"actions":`+now) {
						t.Errorf("hello %s", data)
					}
					break
				}
			}
		}
	})
}

// A viewer who does not take what is sent is dropped; the others get everything.
func TestSlowViewersAreDropped(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, v *View, _ *played) {
		slow, quick := v.watch(), v.watch()
		got := 0
		for range 30 {
			time.Sleep(Interval)
			synctest.Wait()
			for len(quick.events) > 0 {
				<-quick.events
				got++
			}
		}
		if got < 30 {
			t.Errorf("the quick viewer has %d messages", got)
		}
		n := 0
		for range slow.events {
			n++
		}
		if n != backlog {
			t.Errorf("the slow viewer had %d messages in stock", n)
		}
	})
}

// There is a bound on viewers, and a place again when one has left.
func TestTooManyViewers(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, v *View, _ *played) {
		var last *viewer
		for range MaxViewers {
			last = v.watch()
		}
		w := httptest.NewRecorder()
		v.ServeHTTP(w, httptest.NewRequest("GET", "/events", nil))
		if w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one more viewer: %d %v", w.Code, w.Header())
		}
		v.leave(last)
		v.leave(last) // it may have been dropped meanwhile
		if v.watch() == nil {
			t.Error("no place after one has left")
		}
	})
}

// The stream over a real connection, until the viewer leaves.
func TestStream(t *testing.T) {
	t.Parallel()
	p := &played{}
	v := New(p.source())
	go v.Run(t.Context())
	server := httptest.NewServer(v)
	defer server.Close()
	resp, err := http.Get(server.URL + "/events")
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	seen := map[string]bool{}
	for len(seen) < 4 && lines.Scan() {
		if name, is := strings.CutPrefix(lines.Text(), "event: "); is {
			seen[name] = true
		}
	}
	for _, name := range []string{"hello", "past", "sample", "status"} {
		if !seen[name] {
			t.Errorf("no %s in %v: %v", name, seen, lines.Err())
		}
	}
	resp.Body.Close()
	for watched := true; watched; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		watched = len(v.viewers) > 0
		v.mu.Unlock()
	}
}

// A viewer who reads nothing is dropped, however much there is to send.
func TestViewersWhoDoNotRead(t *testing.T) {
	t.Parallel()
	source := (&played{}).source()
	source.Status = func(context.Context) ([]byte, error) {
		return []byte(`"` + strings.Repeat("x", maxStatus-2) + `"`), nil
	}
	v := New(source)
	v.patience = 50 * time.Millisecond
	go v.Run(t.Context())
	server := httptest.NewUnstartedServer(v)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		return ctx
	}
	server.Start()
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("HTTP/1.1 200"))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("the viewer got %q, %v", head, err)
	}
	for watched := true; watched; time.Sleep(time.Millisecond) {
		v.mu.Lock()
		watched = len(v.viewers) > 0
		v.mu.Unlock()
	}
}

// What a source says that is too long, or no JSON, is not passed on.
func TestBrokenStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"{\"a\": \"x\ny\"}", "", `"` + strings.Repeat("x", maxStatus) + `"`} {
		synctest.Test(t, func(t *testing.T) {
			source := (&played{}).source()
			source.Status = func(context.Context) ([]byte, error) { return []byte(status), nil }
			v := New(source)
			ctx, end := context.WithCancel(context.Background())
			defer end()
			go v.Run(ctx)
			w := v.watch()
			for range 5 {
				if name, data := next(t, w); name == "status" {
					t.Errorf("sent %.40s", data)
				}
			}
			end()
			synctest.Wait()
		})
	}
}
