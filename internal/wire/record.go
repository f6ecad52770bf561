package wire

import (
	"encoding/json"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A LogRecord is a line of the master or the front for the process that relays
// them to Python's logging: a message of the error log, or a request.
type LogRecord struct {
	Time float64 `json:"time"` // seconds since 1970
	Pid  int     `json:"pid"`  // of who says it; of a request the worker's
	Role string  `json:"role"` // master or front

	Message string `json:"message,omitempty"`
	Level   int    `json:"level,omitempty"` // as Python numbers it

	Environ  map[string]string `json:"environ,omitempty"` // of a request: its part of the WSGI environ, but for the header
	Request  [][2]string       `json:"request,omitempty"` // header fields
	Response [][2]string       `json:"response,omitempty"`
	Status   string            `json:"status,omitempty"` // 200 OK
	Sent     int64             `json:"sent,omitempty"`   // bytes of the body
	Micros   int64             `json:"micros,omitempty"` // duration
}

// Python's numbers of the levels.
const (
	PythonDebug    = 10
	PythonInfo     = 20
	PythonWarning  = 30
	PythonError    = 40
	PythonCritical = 50
)

// Forever is the patience of a sender who waits as long as it takes.
const Forever time.Duration = -1

const (
	// recordsWaiting is how many records may wait for the relay.
	recordsWaiting = 4096
	// maxText is the size from which a message is cut.
	maxText = 60 << 10
)

// A Recorder sends records to the relay. It may be used by any number of
// goroutines.
type Recorder struct {
	conn    *os.File
	raw     rawConn
	records chan *LogRecord
	lost    atomic.Int64
	stuck   atomic.Bool // somebody has waited in vain, and no record was sent since

	mu     sync.RWMutex
	closed bool
	ending chan struct{} // closed before closed becomes true: nobody waits any more
	end    func()        // closes ending
	done   chan struct{}
}

// NewRecorder takes over f, the end of a [Pair].
func NewRecorder(f *os.File) (*Recorder, error) {
	file, raw, err := takeOver(f)
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

// Send queues a record. For a relay that does not keep up it waits for patience, 0 or
// [Forever] too, which slows down those who cause the records. Once somebody has waited
// in vain others do not, until the relay has taken something. What finds no place is
// lost, and counted.
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

// Lost returns how many records were lost since the last call.
func (r *Recorder) Lost() int64 { return r.lost.Swap(0) }

// Close sends what waits, in the background, and ends r; [Recorder.Done] tells when.
func (r *Recorder) Close() {
	r.end()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.records)
	}
}

// Done is closed when everything was sent, or could not be.
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
