package wire

import (
	"encoding/json"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A LogRecord is a line of the master or the front for the logger, the process that passes them
// to Python's logging: a message of the error log, or a request for the access log.
type LogRecord struct {
	Time float64 `json:"time"` // seconds since 1970
	Pid  int     `json:"pid"`  // of the process that says it, of a request the worker's
	Role string  `json:"role"` // master or front

	Message string `json:"message,omitempty"`
	Level   int    `json:"level,omitempty"` // as Python numbers it

	Environ  map[string]string `json:"environ,omitempty"` // of a request: its part of the WSGI environ, without the header
	Request  [][2]string       `json:"request,omitempty"` // header fields
	Response [][2]string       `json:"response,omitempty"`
	Status   string            `json:"status,omitempty"` // 200 OK
	Sent     int64             `json:"sent,omitempty"`   // bytes of the body
	Micros   int64             `json:"micros,omitempty"` // duration
	Atoms    map[string]string `json:"atoms,omitempty"`  // values for access_log_format that are known to the front alone
}

// Python's numbers of the levels.
const (
	PythonDebug    = 10
	PythonInfo     = 20
	PythonWarning  = 30
	PythonError    = 40
	PythonCritical = 50
)

// Forever makes [Recorder.Send] wait without a limit.
const Forever time.Duration = -1

const (
	// recordsWaiting is how many records may wait for the logger.
	recordsWaiting = 4096
	// maxText is the size from which a message is cut.
	maxText = 60 << 10
)

// A Recorder sends records to the logger. It may be used from any goroutine.
type Recorder struct {
	conn    *os.File
	raw     syscall.RawConn
	records chan *LogRecord
	lost    atomic.Int64
	stuck   atomic.Bool // a sender has waited in vain, and no record was sent since

	mu sync.RWMutex
	// +checklocks:mu
	closed bool
	ending chan struct{} // closed before closed becomes true: senders stop waiting
	end    func()        // closes ending
	done   chan struct{}
}

// NewRecorder takes over f, the end of a [Pair].
func NewRecorder(f *os.File) (*Recorder, error) {
	file, raw, err := Adopt(f)
	if err != nil {
		return nil, err
	}
	r := &Recorder{
		conn: file, raw: raw, records: make(chan *LogRecord, recordsWaiting), done: make(chan struct{}), ending: make(chan struct{}),
	}
	r.end = sync.OnceFunc(func() { close(r.ending) })
	go r.run()
	return r, nil
}

// Send queues a record. If the logger does not keep up, Send waits for patience, which may be 0
// or [Forever]: that slows down whoever causes the records. After one sender has waited in vain
// the others do not wait until the logger has taken a record. Records without a place in the
// queue are dropped and counted.
func (r *Recorder) Send(rec *LogRecord, patience time.Duration) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return
	}
	select {
	case r.records <- rec:
		return
	default:
	}
	if patience == Forever || patience > 0 && !r.stuck.Load() {
		var late <-chan time.Time
		if patience > 0 {
			t := time.NewTimer(patience)
			defer t.Stop()
			late = t.C
		}
		select {
		case r.records <- rec:
			return
		case <-r.ending:
		case <-late:
			r.stuck.Store(true)
		}
	}
	r.lost.Add(1)
}

// Lost returns how many records were dropped since the last call, and starts counting anew.
func (r *Recorder) Lost() int64 { return r.lost.Swap(0) }

// Close ends r after the records that wait have been sent in the background;
// [Recorder.Done] is closed then.
func (r *Recorder) Close() {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.records)
	}
}

// Done returns a channel that is closed once every record was sent or could not be sent.
func (r *Recorder) Done() <-chan struct{} { return r.done }

func (r *Recorder) run() {
	defer close(r.done)
	defer r.conn.Close()
	for rec := range r.records {
		if data := rec.encode(); data == nil || SendMsg(r.raw, data) != nil {
			r.lost.Add(1)
		}
		r.stuck.Store(false)
	}
}

// encode returns rec as JSON that fits a message: the longest parts are cut.
func (rec *LogRecord) encode() []byte {
	if n := len(rec.Message); n > maxText {
		rec.Message = rec.Message[:maxText/2] + "\n[...]\n" + rec.Message[n-maxText/2:]
	}
	data, err := json.Marshal(rec)
	if err == nil && len(data) > MaxMessage {
		rec.Request, rec.Response = nil, nil
		for name, value := range rec.Environ {
			rec.Environ[name] = value[:min(len(value), 8<<10)]
		}
		data, err = json.Marshal(rec)
	}
	if err != nil || len(data) > MaxMessage {
		return nil
	}
	return data
}
