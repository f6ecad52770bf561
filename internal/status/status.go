// Package status is what a running server says of itself: the document that `indrik status`
// prints, and the text that people read. The master knows the processes, the front the
// requests; each fills in its part.
package status

import "time"

// A Status is the state of a server at one time.
type Status struct {
	Version       string     `json:"version"`
	State         string     `json:"state"` // as docs/signals.md names it: booting, running, reloading ...
	Role          string     `json:"role"`  // master, or successor while an upgrade is not complete
	PID           int        `json:"pid"`   // of the master
	Started       time.Time  `json:"started"`
	Uptime        float64    `json:"uptime"` // seconds
	App           string     `json:"app"`
	Generation    int        `json:"generation"` // of the workers that serve; it grows with each reload
	Target        int        `json:"target"`     // how many workers there should be
	Scale         *Scale     `json:"scale"`      // null: that number does not follow the load
	Listeners     []Listener `json:"listeners"`
	Admin         string     `json:"admin,omitempty"` // the address at which the server itself answers
	Workers       []Worker   `json:"workers"`         // the oldest first
	Front         *Front     `json:"front"`           // null: there is none at the moment, or it does not answer
	Successor     int        `json:"successor,omitempty"`
	Reloads       int        `json:"reloads"` // that succeeded
	FailedReloads int        `json:"failed_reloads"`
	LastReload    *Reload    `json:"last_reload"`  // null: there was none
	LastReloads   []Reload   `json:"last_reloads"` // the newest first; of a long reason they have only the end
	Spawned       int        `json:"spawned"`      // workers since the start
	Killed        int        `json:"killed"`       // workers by this master, since they did not end
	Deaths        []Death    `json:"deaths"`       // the last ones, the newest first

	DeathsByCause map[Cause]int `json:"deaths_by_cause"` // since the start; it has every cause
	Template      *Template     `json:"template"`        // that forks the workers; null: the spawner does
	Reforks       int           `json:"reforks"`         // workers that became templates
	FailedReforks int           `json:"failed_reforks"`  // and those that were to and did not
	Slow          []SlowRequest `json:"slow"`            // the last requests that slow_request_log has found, the newest first

	Recycled     map[string]int `json:"recycled"`         // workers replaced as docs/selfcare.md has it, by the setting that was the reason; it has every reason
	WouldRecycle map[string]int `json:"would_recycle"`    // that selfcare_dry_run has kept
	Canary       *Canary        `json:"canary,omitempty"` // of a new generation that is tried
	Canaries     Canaries       `json:"canaries"`
}

// A Canary is the trial of a new generation on a share of the requests.
type Canary struct {
	Generation int        `json:"generation"` // that is tried; 0: the successor of an upgrade is, on a share of the connections
	Share      float64    `json:"share"`      // of the requests, 0 to 1
	Window     float64    `json:"window"`     // seconds
	Elapsed    float64    `json:"elapsed"`    // of these
	DryRun     bool       `json:"dry_run"`
	New        CanarySide `json:"new"`
	Old        CanarySide `json:"old"`
}

// A CanarySide is how one of the two generations has answered since the trial began.
type CanarySide struct {
	Requests int     `json:"requests"`
	Failed   int     `json:"failed"` // of these kinds:
	Errors   int     `json:"errors"`
	TimedOut int     `json:"timed_out"`
	Deaths   int     `json:"deaths"`
	Median   float64 `json:"median"` // seconds until the response began
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
}

// Canaries are counts of trials since the start.
type Canaries struct {
	Passed    int `json:"passed"`
	Failed    int `json:"failed"`
	WouldFail int `json:"would_fail"` // in a dry run
}

// A Listener is an address that the server listens at.
type Listener struct {
	Address string `json:"address"` // as the log has it: 127.0.0.1:8000, unix:/run/x.sock
	Type    string `json:"type"`    // tcp, tcp6 or unix
	FD      int    `json:"fd"`      // in the master
}

// A Scale is how the number of workers follows the load, where workers is a range.
type Scale struct {
	Least   int          `json:"least"`
	Most    int          `json:"most"`
	Busy    float64      `json:"busy"`    // the share of the slots that was busy lately
	Wait    float64      `json:"wait"`    // seconds that requests waited for a slot lately, on average
	Offered float64      `json:"offered"` // slots that the requests would keep busy
	Held    string       `json:"held"`    // why there are no more workers, although the load asks for more; "": it does not
	Grown   int          `json:"grown"`   // how often workers were added
	Shrunk  int          `json:"shrunk"`  // how often some left
	Last    *ScaleChange `json:"last"`    // null: there was none
	DryRun  bool         `json:"dry_run"` // nothing is done of it
	Wanted  int          `json:"wanted"`  // with dry_run: how many workers there would be, 0: as many as there are
}

// A ScaleChange is a change of the number of workers by the load.
type ScaleChange struct {
	At   time.Time `json:"at"`
	From int       `json:"from"`
	To   int       `json:"to"`
	Why  string    `json:"why"`
}

// A Worker is one process that runs the app.
type Worker struct {
	PID        int     `json:"pid"` // 0: it is not forked yet
	Age        int     `json:"age"` // the number of the worker
	Generation int     `json:"generation"`
	Kind       string  `json:"kind"`  // of worker: sync, gthread, asgi ...
	Speed      string  `json:"speed"` // the version of indrik-speed that it uses; "": none
	State      string  `json:"state"` // booting, ready or leaving
	Uptime     float64 `json:"uptime"`
	RSS        int64   `json:"rss"` // bytes; 0: not known
	PSS        int64   `json:"pss"` // likewise: a share of what it shares with others
	CPU        float64 `json:"cpu"` // seconds of processor time

	Replacement *Replacement `json:"replacement,omitempty"` // absent: it stays

	Load
}

// A Replacement is why a worker is to be replaced.
type Replacement struct {
	Reason string  `json:"reason"`          // the name of a setting: max_requests, max_worker_memory ...
	Text   string  `json:"text"`            // the same with figures
	Waits  float64 `json:"waits,omitempty"` // seconds for which recycle_budget has no place for it; 0: it has one
}

// A Template is a worker that serves no more, and forks the others.
type Template struct {
	PID    int     `json:"pid"`
	Uptime float64 `json:"uptime"` // seconds since it became one
	Forked int     `json:"forked"` // workers
	RSS    int64   `json:"rss"`    // as those of a worker
	PSS    int64   `json:"pss"`
}

// A Load is what the front knows of a worker.
type Load struct {
	Requests int       `json:"requests"`  // answered
	Errors   int       `json:"errors"`    // of these, those in which the app failed
	InFlight int       `json:"in_flight"` // that it has begun or that wait in it
	Lag      float64   `json:"lag"`       // of its event loop, seconds; 0 without one
	Running  []Running `json:"running"`   // the longest first
}

// A Running is a request that a worker runs.
type Running struct {
	Method  string  `json:"method"`
	Path    string  `json:"path"` // without the query
	Client  string  `json:"client"`
	Seconds float64 `json:"seconds"`

	RequestID string `json:"request_id,omitempty"` // with the setting request_id_header

	// How the worker knows it: the index of the slot that runs it, and its number.
	Slot   int    `json:"slot"`
	Number uint32 `json:"number"`
}

// A Front is what the process that holds the connections knows.
type Front struct {
	PID         int          `json:"pid"`
	Queue       Queue        `json:"queue"`
	Connections Connections  `json:"connections"`
	Loads       map[int]Load `json:"loads,omitempty"` // of workers, by age; the master moves them to the workers
	Unlisted    int          `json:"unlisted"`        // requests that run and that no load lists, since lists are bounded
	Pools       []Pool       `json:"pools,omitempty"` // by name
	Stash       *Stash       `json:"stash,omitempty"` // with pools

	Quarantine      []Quarantine `json:"quarantine,omitempty"` // who is kept from the workers; at most 20
	Quarantines     int          `json:"quarantines"`          // that have begun since the front started
	WouldQuarantine int          `json:"would_quarantine"`     // that selfcare_dry_run has kept
}

// A Quarantine is requests that are answered with 503, since workers have died of them.
type Quarantine struct {
	Scope   string  `json:"scope"`            // request, client or path
	Client  string  `json:"client,omitempty"` // an address; absent: not known, or the scope is path
	Path    string  `json:"path,omitempty"`   // without the query
	Deaths  int     `json:"deaths"`           // that led to it
	Seconds float64 `json:"seconds"`          // that are left of it
	Refused int     `json:"refused"`          // requests, so far
	DryRun  bool    `json:"dry_run,omitempty"`
}

// A Queue is the requests that wait for a worker.
type Queue struct {
	Length  int     `json:"length"`
	Oldest  float64 `json:"oldest"`   // seconds that the oldest has waited
	WaitP50 float64 `json:"wait_p50"` // seconds, of the requests of the last minute
	WaitP99 float64 `json:"wait_p99"`
	Refused int     `json:"refused"` // answered with 503 since the front started
}

// Connections are counts by what a connection is doing.
type Connections struct {
	Total     int `json:"total"`
	Handshake int `json:"handshake"` // TLS, or a PROXY header
	Idle      int `json:"idle"`      // between requests
	Reading   int `json:"reading"`   // a request comes in
	Running   int `json:"running"`   // a request waits or runs
	Writing   int `json:"writing"`   // a response goes out
	WebSocket int `json:"websocket"`
	HTTP2     int `json:"http2"` // whole connections, whatever their streams do
}

// A Reload is what came of the last one.
type Reload struct {
	At      time.Time `json:"at"`
	OK      bool      `json:"ok"`
	Reason  string    `json:"reason,omitempty"` // of a failure, with the traceback
	Canary  string    `json:"canary,omitempty"` // with which figures new workers that were tried have taken over
	Seconds float64   `json:"seconds"`
}

// A Death is the end of a worker that nobody wanted.
type Death struct {
	At      time.Time `json:"at"`
	PID     int       `json:"pid"`
	Age     int       `json:"age"`
	Cause   Cause     `json:"cause"`
	Reason  string    `json:"reason"`  // was sent SIGKILL, exited with code 1
	Running []Running `json:"running"` // of a timeout, the requests whose time was over
}

// A Cause is why a worker died, of few, for counting.
type Cause string

// The causes of deaths.
const (
	CauseBoot       Cause = "boot"                   // it ended before it had its app
	CauseExit       Cause = "exit"                   // it exited with a code other than 0
	CauseSignal     Cause = "signal"                 // a signal ended it, such as SIGSEGV or a SIGKILL of somebody else's
	CauseMemory     Cause = "oom"                    // SIGKILL, while the kernel counted a process of the control group that was out of memory
	CauseMemoryHard Cause = "max_worker_memory_hard" // it took more memory
	CauseTimeout    Cause = "timeout"                // a request, or the event loop, was over timeout
	CauseGraceful   Cause = "graceful_timeout"       // it was told to end, and had not after graceful_timeout
	CauseProtocol   Cause = "protocol"               // it broke the protocol between the processes
)

// Causes lists all causes.
var Causes = []Cause{CauseBoot, CauseExit, CauseSignal, CauseMemory, CauseMemoryHard, CauseTimeout, CauseGraceful, CauseProtocol}

// A SlowRequest is a request that ran for longer than slow_request_log.
type SlowRequest struct {
	At     time.Time `json:"at"` // when that was noticed
	Method string    `json:"method"`
	Path   string    `json:"path"` // without the query
	Client string    `json:"client"`
	ID     string    `json:"id,omitempty"` // of the request, with request_id_header
	PID    int       `json:"pid"`          // of the worker
	Waited float64   `json:"waited"`       // seconds in the queue
	Ran    float64   `json:"ran"`          // seconds in the app until At
	Ended  bool      `json:"ended"`        // it had its response by then, so that there is no stack
	Stack  []string  `json:"stack"`        // where it was, the innermost call first: File "/srv/shop/views.py", line 7 in report
}
