package status

// A Pool is what the front knows of a pool.
type Pool struct {
	Name    string         `json:"name"`
	Apps    []string       `json:"apps"`
	Waiting int            `json:"waiting"` // calls
	Limit   int            `json:"limit"`   // of calls that wait
	Oldest  float64        `json:"oldest"`  // seconds that the oldest has waited
	Calls   map[string]int `json:"calls"`   // by their outcome, since the front took the generation
	Waited  float64        `json:"waited"`  // seconds of all calls that were begun, before that
	Ran     float64        `json:"ran"`     // seconds of all calls, from then on
	Workers []PoolWorker   `json:"workers"` // the oldest first
}

// A PoolWorker is a worker of a pool.
type PoolWorker struct {
	PID     int        `json:"pid"`   // 0: it has not its apps yet
	Age     int        `json:"age"`   // the number of the worker, among those of pools
	State   string     `json:"state"` // booting, ready or leaving
	Apps    []string   `json:"apps"`  // that it hosts
	Slots   int        `json:"slots"` // calls that it can run at a time
	Busy    int        `json:"busy"`  // that it runs
	Calls   int        `json:"calls"` // that it has answered
	Running []PoolCall `json:"running"`
}

// A PoolCall is a call that a worker of a pool runs.
type PoolCall struct {
	App     string  `json:"app"`
	Action  string  `json:"action"`
	Seconds float64 `json:"seconds"`
}

// A Stash is the tables that workers share by way of the front.
type Stash struct {
	Tables int   `json:"tables"`
	Keys   int   `json:"keys"`
	Bytes  int64 `json:"bytes"`
	Limit  int64 `json:"limit"`
}
