package metrics

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"indrik/internal/dispatch"
)

// written returns the values of a counter or gauge by its labels.
func written(t *testing.T, p *page, name string) map[string]float64 {
	t.Helper()
	f := p.families[name]
	if f == nil {
		t.Fatalf("there is no %s", name)
	}
	values := map[string]float64{}
	for _, m := range f.Metric {
		key := ""
		for _, l := range m.Label {
			key += l.GetValue() + " "
		}
		values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return values
}

// A request of which only some times are known is in the histograms of those alone.
func TestUnknownTimes(t *testing.T) {
	t.Parallel()
	r := new(Recorder)
	r.Record(&Response{Status: 200, Took: time.Second})
	r.Record(&Response{Status: 200, Took: time.Second, Balancer: 3 * time.Second})
	for name, want := range map[string]uint64{
		"indrik_http_request_balancer_seconds": 1, "indrik_http_request_queue_seconds": 0, "indrik_http_request_app_seconds": 0,
	} {
		h := r.page().families[name].Metric[0].GetHistogram()
		if h.GetSampleCount() != want || h.GetSampleSum() != float64(3*want) {
			t.Errorf("%s: %d of %g s", name, h.GetSampleCount(), h.GetSampleSum())
		}
	}
}

func (r *Recorder) page() *page {
	p := newPage()
	r.write(p, &dispatch.Usage{})
	return p
}

// Whatever methods and statuses come, there is a bounded number of series.
func TestCardinality(t *testing.T) {
	t.Parallel()
	r := new(Recorder)
	for i := range 10_000 {
		r.Record(&Response{Method: fmt.Appendf(nil, "METHOD%d", i), Status: i - 1000})
	}
	for status := range 2000 {
		for _, method := range append(methodNames[:], "get", "GETT") {
			for kind := range kinds {
				r.Record(&Response{Method: []byte(method), Kind: kind, Status: status})
				r.RecordUnread(kind, status)
			}
		}
	}
	values := written(t, r.page(), "indrik_http_requests_total")
	if most := int(methods) * int(kinds) * 500; len(values) > most {
		t.Errorf("there are %d series, more than %d", len(values), most)
	}
	total := 0.0
	for _, n := range values {
		total += n
	}
	if want := float64(10_000 + 2*2000*int(kinds)*(len(methodNames)+2)); total != want {
		t.Errorf("%v are counted, want %v", total, want)
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	r := new(Recorder)
	for range 3 {
		r.Record(&Response{Method: []byte("GET"), Kind: HTTP2, Status: 200, Sent: 10, Took: time.Second, FirstByte: time.Millisecond, Waited: time.Minute, Ran: time.Hour})
	}
	r.Record(&Response{Method: []byte("BREW"), Status: 418, Took: -time.Second})
	r.RecordUnread(HTTP1, 400)
	r.Receive(5)
	r.Receive(-5)
	r.Open()
	r.Refuse(ClientStreams)
	r.TimeOut(Body)
	p := r.page()
	for name, want := range map[string]map[string]float64{
		"indrik_http_requests_total":            {"http2 GET 200 ": 3, "http1 other 418 ": 1, "http1 none 400 ": 1},
		"indrik_http_request_body_bytes_total":  {"": 5},
		"indrik_http_response_body_bytes_total": {"": 30},
		"indrik_connections_opened_total":       {"": 1},
		"indrik_refusals_total": {
			"queue_full ": 0, "queue_timeout ": 0, "no_workers ": 0, "shutdown ": 0, "client_connections ": 0, "client_streams ": 1, "memory ": 0, "quarantine ": 0,
		},
		"indrik_timeouts_total": {"app ": 0, "graceful ": 0, "handshake ": 0, "header ": 0, "body ": 1, "write ": 0},
	} {
		if got := written(t, p, name); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]float64{
		"indrik_http_request_queue_seconds":       180,
		"indrik_http_request_app_seconds":         3 * 3600,
		"indrik_http_response_first_byte_seconds": 0.003,
	} {
		h := p.families[name].Metric[0].Histogram
		if sum := h.GetSampleSum(); sum < want*0.999 || sum > want*1.001 {
			t.Errorf("%s: %v, want %v", name, sum, want)
		}
	}
	for class, n := range []uint64{0, 3, 0, 1, 0} {
		if h := p.families["indrik_http_request_duration_seconds"].Metric[class]; h.Histogram.GetSampleCount() != n || h.Label[0].GetValue() != classNames[class] {
			t.Errorf("%s has %d", classNames[class], h.Histogram.GetSampleCount())
		}
	}
}

// Where nobody asks for metrics there is no recorder.
func TestNoRecorder(t *testing.T) {
	t.Parallel()
	var r *Recorder
	r.Record(&Response{})
	r.RecordUnread(HTTP1, 400)
	r.Receive(1)
	r.Open()
	r.Refuse(ClientMemory)
	r.TimeOut(Write)
}

func TestRecordAllocatesNothing(t *testing.T) {
	r := new(Recorder)
	resp := &Response{Method: []byte("GET"), Status: 200, Took: time.Millisecond, Waited: 1, Ran: 1}
	if n := testing.AllocsPerRun(100, func() { r.Record(resp) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	r := new(Recorder)
	resp := &Response{Method: []byte("GET"), Status: 200, Sent: 15, Took: time.Millisecond, FirstByte: time.Millisecond, Waited: 80 * time.Microsecond, Ran: 200 * time.Microsecond}
	for b.Loop() {
		r.Record(resp)
	}
}
