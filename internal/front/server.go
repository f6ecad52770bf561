package front

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/account"
	"indrik/internal/admin"
	"indrik/internal/dispatch"
	"indrik/internal/errlog"
	"indrik/internal/metrics"
	"indrik/internal/otlpmetrics"
	"indrik/internal/pools"
	"indrik/internal/sinks"
	"indrik/internal/tracing"
	"indrik/internal/wire"
)

// maxSpares is how many goroutines wait for a connection to serve. Their stacks have
// grown already, which is expensive if each request has a connection of its own.
const maxSpares = 64

// A server is the state of a front.
type server struct {
	log        *errlog.Log
	sendMaster func(wire.FromFront) // to the master
	empty      chan struct{}        // gets a value when a drain has ended
	queue      *dispatch.Queue
	pools      *pools.Set
	sinks      *sinks.Sinks
	accessLog  accessLog
	admin      adminAddress
	questions  *questions
	readiness  readiness
	appMetrics *appMetrics
	recorder   *metrics.Recorder
	gatherer   *metrics.Collector
	metrics    atomic.Pointer[metrics.Recorder] // the recorder; nil: nobody asks for metrics
	current    atomic.Pointer[config]           // of the newest generation that serves
	known      chan struct{}                    // closed once current is set
	pusher     *otlpmetrics.Pusher              // nil: it sends no metrics; set with tracer
	tracer     *tracing.Tracer                  // nil: there are no spans; set before known is closed

	mu sync.Mutex
	// +checklocks:mu
	listeners map[int]*listener
	// +checklocks:mu
	conns    map[*conn]struct{}
	capacity *sync.Cond // there may be capacity for a connection, or its listener closes
	// +checklocks:mu
	crowded          bool         // there was no capacity lately
	awaitingCapacity atomic.Int32 // listeners that wait for capacity
	// +checklocks:mu
	calmed int   // connections that have become idle since memory was freed
	freed  int64 // when memory was freed
	// +checklocks:mu
	sweeping bool
	swept    int64     // when the last sweep was; only the sweep uses it
	share    connShare // of the connections, which goes to the peer front
	// +checklocks:mu
	peerFront *peerFront
	// +checklocks:mu
	draining bool
	// +checklocks:mu
	drainReported bool // the master has been told
	// +checklocks:mu
	handover bool // idle connections go to the peer front
	// +checklocks:mu
	final bool // the process ends after this drain
	// +checklocks:mu
	closingListeners int // drains whose listeners are not closed yet

	soon   time.Duration // how long a body of some size is waited for
	spare  chan *conn    // for a goroutine whose last connection has ended
	spares atomic.Int32  // goroutines that wait for a connection

	quarantined quarantined
	account     *account.Account
	collector   atomic.Pointer[collector] // nil: the garbage collector is not set by this server
	cuts        complaint
	refusals    complaint
	slowings    complaint

	complained  atomic.Int64    // when the log last said that files cannot be written
	drainingNow atomic.Bool     // draining, to be read without mu
	drainedFrom atomic.Int64    // when the drain began, or its handover ended
	departing   atomic.Bool     // responses say Connection: close
	ending      context.Context // until this process ends: from then on nothing that the master says is read
	end         context.CancelFunc
}

func newServer(log *errlog.Log, number int, send func(wire.FromFront)) *server {
	s := &server{
		log: log, sendMaster: send, empty: make(chan struct{}, 1), known: make(chan struct{}),
		listeners: map[int]*listener{}, conns: map[*conn]struct{}{}, recorder: new(metrics.Recorder), sinks: sinks.New(log, "front"), spare: make(chan *conn), soon: soon,
	}
	s.accessLog.sinks, s.accessLog.file.log = s.sinks, log
	h := host{log, send, s.diedWith}
	s.queue = dispatch.NewQueue(h, number)
	s.pools = pools.NewSet(h, number)
	s.capacity = sync.NewCond(&s.mu)
	s.account = account.New(s.wasCutOff, s.watchHeld)
	s.quarantined = newQuarantined()
	s.questions = newQuestions(send)
	s.appMetrics = newAppMetrics(log, send)
	s.ending, s.end = context.WithCancel(context.Background())
	s.gatherer = s.newCollector()
	s.admin.view = s.newView()
	s.admin.server = admin.NewServer(log, s.adminPages())
	return s
}

var noConfig, _ = newConfig(&wire.FrontConfig{
	LimitRequestLine: 4094, LimitRequestFields: 100, LimitRequestFieldSize: 8190, ProxyProtocol: "off",
	HeaderTimeout: 60, WriteTimeout: 60,
})

// setConfig makes cfg the settings of new connections and requests. The control goroutine
// calls it.
func (s *server) setConfig(cfg *config) {
	bounds := cfg.bounds(machine().Memory)
	s.account.SetLimits(bounds)
	s.collector.Load().limit(bounds.Memory)
	if s.current.Load() == nil {
		s.startTelemetry()
	}
	if s.current.Swap(cfg) == nil {
		close(s.known)
	}
}

// config returns the settings of the newest generation that serves.
func (s *server) config() *config {
	if c := s.current.Load(); c != nil {
		return c
	}
	return noConfig
}

// serve takes over a client connection. prepare, which may be nil, is called before
// anything is read.
func (s *server) serve(nc net.Conn, from *endpoint, prepare func(*conn)) {
	c, err := newConn(s, nc, from)
	if err != nil {
		s.log.Debugf("a new connection is of no use: %s", err)
		nc.Close()
		return
	}
	if prepare != nil {
		prepare(c)
	}
	cfg := s.config()
	connections, ok := 0, false
	c.held, connections, ok = s.account.Open(c.clientAddr(cfg), c.info.name(), c.cutOff)
	if !ok && prepare == nil { // connections from another front were admitted there
		c.refuse(connections, cfg)
		return
	}
	s.metrics.Load().Open()
	c.hold(connHeld)
	c.ex.holder = c.held
	c.out.SetHolder(c.held)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	if !s.sweeping {
		s.sweeping, s.swept = true, now()
		s.sweepLater(sweepEvery)
	}
	s.mu.Unlock()
	select {
	case s.spare <- c:
	default:
		go s.run(c)
	}
}

// run serves c, and then other connections, one after the other.
func (s *server) run(c *conn) {
	for {
		c.run()
		if s.spares.Add(1) > maxSpares {
			s.spares.Add(-1)
			return
		}
		c = <-s.spare
		s.spares.Add(-1)
	}
}

// forget is called when a connection has ended.
func (s *server) forget(c *conn) {
	c.held.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.capacity.Broadcast()
	s.mu.Unlock()
	s.reportIfDrained()
}

// all returns all connections.
func (s *server) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// checkTmpDir tells the operator early if temporary files cannot be made: the front may
// have another user than the one that the directory was made for.
func (s *server) checkTmpDir(dir string) {
	if dir == "" {
		dir = os.TempDir()
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		s.log.Errorf("What is too large for memory has no place: the front (user %d) cannot make files in %s: %s. See tmp_upload_dir and front_user",
			os.Geteuid(), dir, err)
	}
}

// tmpFile makes a file without a name, for data that is too large for memory.
func (s *server) tmpFile() (*os.File, error) {
	f, err := os.CreateTemp(s.config().TmpUploadDir, "indrik-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// complainEvery is how often, at most, the log says that files cannot be written.
const complainEvery = int64(10 * time.Second)

// warnBodiesInMemory tells the operator that request bodies are kept in memory, since no
// file can be written.
func (s *server) warnBodiesInMemory(err error) {
	t, last := now(), s.complained.Load()
	if (last == 0 || t-last > complainEvery) && s.complained.CompareAndSwap(last, t) {
		s.log.Errorf("large request bodies are kept in memory, since no file can be written, see tmp_upload_dir: %s", err)
	}
}

// cannotSpool tells the operator that a response which its client takes slowly cannot be
// kept in a file, so that a slow client delays a worker.
func (s *server) cannotSpool(err error) {
	t, last := now(), s.complained.Load()
	if (last == 0 || t-last > complainEvery) && s.complained.CompareAndSwap(last, t) {
		s.log.Errorf("cannot keep a response that its client takes slowly, the worker has to wait: %s", err)
	}
}
