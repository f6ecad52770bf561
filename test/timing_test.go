//go:build linux

package test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// timesOf reads a field Server-Timing, in milliseconds by name.
func timesOf(t *testing.T, r *harness.Response) map[string]float64 {
	t.Helper()
	times := map[string]float64{}
	if value := r.Get("Server-Timing"); value != "" {
		for metric := range strings.SplitSeq(value, ", ") {
			m := regexp.MustCompile(`^([a-z]+);dur=(\d+(?:\.\d{1,3})?)$`).FindStringSubmatch(metric)
			if m == nil {
				t.Fatalf("Server-Timing: %q", value)
			}
			times[m[1]], _ = strconv.ParseFloat(m[2], 64)
		}
	}
	return times
}

// TestTiming: the client and the access log are told for how long a request was on its way,
// waited and ran, and each is about as long as it was.
func TestTiming(t *testing.T) {
	t.Parallel()
	const format = "access_log_format = 'TIMES %(U)s %(s)s %(balancer)s %(queue)s %(app)s %(L)s'\naccesslog = '-'\nserver_timing = True\n"
	for _, kind := range []string{"gated:app", "asgiapps:gated"} {
		t.Run(kind, func(t *testing.T) {
			s, admin := withAdmin(t, harness.Options{App: kind, Conf: format, Args: []string{"--worker-connections", "1"}})
			run, next := s.Gate("run"), s.Gate("next")
			began := time.Now()
			a, b := s.Client(), s.Client()
			start := func(d time.Duration) string {
				return fmt.Sprintf("X-Request-Start: t=%.6f", float64(began.Add(-d).UnixMicro())/1e6)
			}
			a.Send(t, harness.FormatRequest("GET", "/run", "", start(5*time.Second)))
			run.Entered()
			b.Send(t, harness.FormatRequest("GET", "/next", "", start(-time.Hour)))
			settled(s, []*harness.Client{a, b})
			harness.Eventually(t, "the second waits", func() bool { return metrics(t, admin)["indrik_queue_length"] == 1 })
			sent := time.Now()
			time.Sleep(300 * time.Millisecond) // that it waits, and the other one runs
			released := time.Now()
			run.Release()
			first := timesOf(t, a.Receive(t, "GET"))
			next.Entered()
			time.Sleep(200 * time.Millisecond) // that it runs
			next.Release()
			second := timesOf(t, b.Receive(t, "GET"))
			all := time.Since(began).Seconds() * 1000
			waited := released.Sub(sent).Seconds() * 1000
			if got := first["balancer"]; got < 4999 || got > 5000+all {
				t.Errorf("the first was %v ms on its way", got)
			}
			if first["app"] < waited || first["app"] > all || first["queue"] > all-waited {
				t.Errorf("the first, which ran for at least %v ms of %v: %v", waited, all, first)
			}
			if second["queue"] < waited || second["queue"] > all || second["app"] < 199 || second["app"] > all-waited || second["balancer"] != 0 {
				t.Errorf("the second, which waited for at least %v ms of %v: %v", waited, all, second)
			}
			m := s.Log.Expect(t, `^TIMES /run 200 \d+\.\d{6} \d+\.\d{6} (\d+\.\d{6}) (\d+\.\d{6})$`)
			if app, whole := seconds(t, m[1]), seconds(t, m[2]); app*1000 < waited || app > whole {
				t.Errorf("%s", m[0])
			}
			m = s.Log.Expect(t, `^TIMES /next 200 0\.\d{6} (\d+\.\d{6}) (\d+\.\d{6}) (\d+\.\d{6})$`)
			if queue, app, whole := seconds(t, m[1]), seconds(t, m[2]), seconds(t, m[3]); queue*1000 < waited || app < 0.199 || queue+app > whole+2e-6 { // each is rounded
				t.Errorf("%s", m[0])
			}
			var page metricPage
			harness.Eventually(t, "both are counted", func() bool {
				page = metrics(t, admin)
				return page["indrik_http_request_balancer_seconds_count"] == 2
			})
			if n, sum := page["indrik_http_request_balancer_seconds_count"], page["indrik_http_request_balancer_seconds_sum"]; n != 2 || sum < 4.999 || sum > 5+all/1000 {
				t.Errorf("%g requests took %g s to the server", n, sum)
			}
			s.Terminate()
		})
	}
}

func seconds(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	harness.Must(t, err)
	return f
}

// TestRequestStartIsForTrustedPeers: what others say, or what is no time, is not known.
func TestRequestStartIsForTrustedPeers(t *testing.T) {
	t.Parallel()
	conf := "access_log_format = 'TIMES %(U)s %(balancer)s'\naccesslog = '-'\n"
	s := harness.Start(t, harness.Options{Conf: conf})
	now := time.Now()
	for path, field := range map[string]string{
		"/seconds": fmt.Sprintf("t=%d.%03d", now.Unix(), now.Nanosecond()/1e6), "/milli": strconv.FormatInt(now.UnixMilli(), 10),
		"/micro": fmt.Sprintf("t=%d", now.UnixMicro()), "/nano": strconv.FormatInt(now.UnixNano(), 10),
	} {
		r, err := s.Request("GET", path, "", "X-Request-Start: "+field)
		harness.Must(t, err)
		if r.Has("Server-Timing") {
			t.Errorf("Server-Timing, unasked: %v", r)
		}
		s.Log.Expect(t, "^TIMES "+path+` \d+\.\d{6}$`)
	}
	for path, field := range map[string]string{"/old": "t=1000000000", "/none": "never", "/empty": ""} {
		_, err := s.Request("GET", path, "", "X-Request-Start: "+field)
		harness.Must(t, err)
		s.Log.Expect(t, "^TIMES "+path+` -$`)
	}
	s.Terminate()
	s = harness.Start(t, harness.Options{Conf: conf, Args: []string{"--forwarded-allow-ips", "192.0.2.1"}})
	_, err := s.Request("GET", "/theirs", "", fmt.Sprintf("X-Request-Start: t=%d", now.UnixMicro()))
	harness.Must(t, err)
	s.Log.Expect(t, "^TIMES /theirs -$")
	s.Terminate()
}

// TestTimingThroughPython: where Python writes the access log it has the same atoms.
func TestTimingThroughPython(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: withIDs + `
access_log_format = 'VALUES %(request_id)s %(trace_id)s %(balancer)s %(queue)s %(app)s'
from indrik.glogging import Logger
class logger_class(Logger):
    pass
`})
	_, err := s.Request("GET", "/", "", "X-Request-Id: mine")
	harness.Must(t, err)
	s.Log.Expect(t, `^VALUES mine - - \d+\.\d{6} \d+\.\d{6}$`)
	s.Terminate()
}
