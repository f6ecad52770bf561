package pools

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"indrik/internal/wire"
)

// A failure is why a call has no result, in the form in which a caller gets it: what an exception
// of Gunicorn's client is made of.
type failure struct {
	kind    string // the name of the exception
	message string
	details []detail
	outcome Outcome
}

type detail struct {
	name  string
	value any // string, int or float64
}

func unknownApp(app string) *failure {
	return &failure{"DirtyAppNotFoundError", "Dirty app not found: " + app, []detail{{"app_path", app}}, Refused}
}

func noWorkers(app, report string) *failure {
	f := &failure{"DirtyNoWorkersAvailableError", "No workers available for app: " + app, []detail{{"app_path", app}}, Refused}
	if report != "" {
		f.details = append(f.details, detail{"traceback", report})
	}
	return f
}

func poolFull(pool, app string, limit int) *failure {
	return &failure{
		"DirtyPoolFullError", fmt.Sprintf("The pool %s is full: %d calls wait in it", pool, limit),
		[]detail{{"pool", pool}, {"app_path", app}, {"limit", limit}}, Full,
	}
}

func waitedTooLong(c *call, limit time.Duration) *failure {
	return &failure{
		"DirtyTimeoutError", fmt.Sprintf("%s has waited for a worker of the pool %s for %s", c.name(), c.pool.name, limit.Round(time.Millisecond)),
		[]detail{{"timeout", limit.Seconds()}}, TimedOut,
	}
}

func tookTooLong(c *call, limit time.Duration) *failure {
	return &failure{
		"DirtyTimeoutError", fmt.Sprintf("Execution of %s timed out after %s", c.name(), limit.Round(time.Millisecond)),
		[]detail{{"timeout", limit.Seconds()}}, TimedOut,
	}
}

func workerDied(c *call, pid int) *failure {
	return &failure{
		"DirtyWorkerError", fmt.Sprintf("The worker (pid:%d) has ended while it ran %s", pid, c.name()),
		[]detail{{"worker_id", fmt.Sprint(pid)}}, Died,
	}
}

func workerBroke(c *call, pid int) *failure {
	return &failure{
		"DirtyWorkerError", fmt.Sprintf("The worker (pid:%d) has broken the protocol while it ran %s", pid, c.name()),
		[]detail{{"worker_id", fmt.Sprint(pid)}}, Died,
	}
}

func cannotSend(c *call, err error) *failure {
	return &failure{"DirtyConnectionError", fmt.Sprintf("%s cannot be sent to the pool: %s", c.name(), err), nil, Refused}
}

func noConnection(why string) *failure {
	return &failure{"DirtyConnectionError", why, nil, Refused}
}

// encode returns the message that tells a caller of f.
func (f *failure) encode() []byte {
	payload := tlvDict(nil, 3)
	payload = tlvString(tlvString(payload, "error_type"), f.kind)
	payload = tlvString(tlvString(payload, "message"), f.message)
	payload = tlvDict(tlvString(payload, "details"), len(f.details))
	for _, d := range f.details {
		payload = tlvString(payload, d.name)
		switch v := d.value.(type) {
		case string:
			payload = tlvString(payload, v)
		case float64:
			payload = tlvFloat(payload, v)
		case int:
			payload = tlvInt(payload, int64(v))
		}
	}
	m := wire.PoolMessage{Kind: wire.PoolError, Payload: payload}
	return m.Append(make([]byte, 0, len(payload)+16))
}

// The types of Gunicorn's typed encoding that the front itself writes (docs/protocol.md).
const (
	tlvTypeBool   = 0x01
	tlvTypeInt    = 0x05
	tlvTypeFloat  = 0x06
	tlvTypeString = 0x11
	tlvTypeList   = 0x20
	tlvTypeDict   = 0x21
)

func tlvBool(v bool) []byte {
	if v {
		return []byte{tlvTypeBool, 1}
	}
	return []byte{tlvTypeBool, 0}
}

func tlvInt(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tlvTypeInt), uint64(v))
}

func tlvFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, tlvTypeFloat), math.Float64bits(v))
}

func tlvString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(append(b, tlvTypeString), uint32(len(s))), s...)
}

// tlvList and tlvDict begin a list of n values, and a dictionary of n keys, each followed by its value.
func tlvList(n int) []byte {
	return binary.BigEndian.AppendUint32([]byte{tlvTypeList}, uint32(n))
}

func tlvDict(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(append(b, tlvTypeDict), uint32(n))
}
