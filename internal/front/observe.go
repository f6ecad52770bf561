package front

import (
	"context"
	"time"

	dto "github.com/prometheus/client_model/go"

	"indrik/internal/admin"
	"indrik/internal/appmetrics"
	"indrik/internal/dispatch"
	"indrik/internal/gateway"
	"indrik/internal/metrics"
)

// This file is what the metrics are told. They are kept from when there is an admin address,
// where somebody may ask for them; a reload that takes it away does not end that.

// beginMetrics has responses counted.
func (s *server) beginMetrics() {
	if s.metrics.Load() == nil {
		s.metrics.Store(s.recorder)
		s.queue.Measure()
	}
}

// newCollector returns what makes metrics of all that is counted and known.
func (s *server) newCollector() *metrics.Collector {
	return metrics.NewCollector(s.recorder, metrics.Sources{
		Front:  s.status,
		Usage:  func() dispatch.Usage { return s.queue.Usage(time.Now()) },
		Ready:  func() bool { return s.isReady().OK },
		Status: s.wholeStatus,
		App: func(ctx context.Context) []*dto.MetricFamily {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(s.ending, cancel)()
			return appmetrics.Expose(s.appMetrics.gather(ctx))
		},
	})
}

// metricsPage shows the metrics.
func (s *server) metricsPage() admin.Page {
	return admin.Page{Path: "/metrics", AnyHost: true, Costly: true, Handler: s.gatherer}
}

// observe counts a response that was made, or a request that was refused. When the response
// has come is known by the message that brought its end: no clock is read for that.
func (ex *exchange) observe(m *metrics.Recorder) {
	end := ex.heard
	if end.IsZero() {
		end = time.Now()
	}
	r := metrics.Response{
		Method: ex.req.Method, Status: ex.status, Sent: ex.sent,
		Took: end.Sub(ex.Start), Waited: ex.Waited(), Ran: ex.Ran(), Balancer: ex.balancerTime(),
	}
	r.FirstByte = r.Took
	if !ex.replied.IsZero() {
		r.FirstByte = ex.replied.Sub(ex.Start)
	}
	switch {
	case ex.webSocket != nil:
		r.Kind = metrics.WebSocket
	case ex.req.Major == 2:
		r.Kind = metrics.HTTP2
	default:
		r.Kind = protocolKinds[ex.info.protocol]
	}
	m.Record(&r)
}

// protocolKinds are the kinds of requests of a connection that has one protocol.
var protocolKinds = [...]metrics.Kind{
	gateway.HTTP: metrics.HTTP1, gateway.UWSGI: metrics.UWSGI, gateway.SCGI: metrics.SCGI, gateway.FastCGI: metrics.FastCGI,
}

// observeUnread counts a client that gets an error page before it has sent a whole head.
func (c *conn) observeUnread(why statusError) {
	m := c.s.metrics.Load()
	m.RecordUnread(protocolKinds[c.info.protocol], why.code)
	switch {
	case why != errTooSlow:
	case phase(c.phase.Load()) == handshaking:
		m.TimeOut(metrics.Handshake)
	default:
		m.TimeOut(metrics.Header)
	}
}
