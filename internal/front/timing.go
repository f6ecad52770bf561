package front

import (
	"bytes"
	"strconv"
	"time"

	"indrik/internal/http1"
)

// This file tells where the time of a request has gone: on the way here, in the queue, in the
// app.

var requestStartName = []byte("X-Request-Start")

// longestBalancerTime is the most that X-Request-Start may say: more is a clock that is
// wrong.
const longestBalancerTime = 24 * time.Hour

// balancerTime returns how long the request took from when a proxy got it until its head was
// here, by the field X-Request-Start of a trusted peer, which may be several proxies away; 0
// if that is not known. Clocks differ: what begins in the future took a nanosecond.
func (ex *exchange) balancerTime() time.Duration {
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		if len(f.Name) != len(requestStartName) || !bytes.EqualFold(f.Name, requestStartName) {
			continue
		}
		began, ok := parseRequestStart(f.Value)
		if !ok || !ex.cfg.trusts(ex.info.client) {
			return 0
		}
		d := ex.Start.Sub(began)
		if d > longestBalancerTime || d < -longestBalancerTime {
			return 0
		}
		return max(d, 1)
	}
	return 0
}

// earliestStart and latestStart bound the times that a request may have begun at, in seconds
// since 1970: the years 2000 to 2255. They are so near to each other that the unit of a
// number shows.
const (
	earliestStart = 946_684_800
	latestStart   = 9_000_000_000
)

// parseRequestStart reads the time in X-Request-Start, as proxies write it: "t=" or nothing,
// then seconds (nginx: t=${msec}), milliseconds (Heroku), microseconds (Apache: t=%t) or
// nanoseconds since 1970, perhaps with a fraction. Apache may say more before it or behind
// it, with a space between.
func parseRequestStart(text []byte) (time.Time, bool) {
	if i := bytes.Index(text, []byte("t=")); i >= 0 {
		text = text[i+2:]
	}
	if i := bytes.IndexAny(text, " ,;"); i >= 0 {
		text = text[:i]
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	if len(whole) > 19 || len(fraction) > 9 || !isDigits(whole) || len(fraction) > 0 && !isDigits(fraction) {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	for unit := time.Second; unit > 0; unit /= 1000 {
		perSecond := int64(time.Second / unit)
		if n < earliestStart*perSecond || n >= latestStart*perSecond {
			continue
		}
		rest := time.Duration(0)
		if len(fraction) > 0 {
			f, _ := strconv.ParseFloat("0."+string(fraction), 64) // they are digits
			rest = time.Duration(f * float64(unit))
		}
		return time.Unix(n/perSecond, n%perSecond*int64(unit)).Add(rest), true
	}
	return time.Time{}, false
}

func isDigits(text []byte) bool {
	for _, c := range text {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(text) > 0
}

var serverTimingName = []byte("Server-Timing")

// appendServerTiming appends the field with what is known of the times of a request when its
// response begins (https://www.w3.org/TR/server-timing/): in milliseconds.
func (ex *exchange) appendServerTiming(fields []http1.Field) []http1.Field {
	var value []byte
	for _, metric := range []struct {
		name string
		d    time.Duration
	}{{"balancer", ex.balancerTime()}, {"queue", ex.Waited()}, {"app", ex.Ran()}} {
		if metric.d == 0 {
			continue
		}
		if value != nil {
			value = append(value, ", "...)
		}
		value = append(append(value, metric.name...), ";dur="...)
		value = strconv.AppendFloat(value, float64(metric.d.Microseconds())/1000, 'f', -1, 64)
	}
	if value == nil {
		return fields
	}
	return append(fields, http1.Field{Name: serverTimingName, Value: value})
}
