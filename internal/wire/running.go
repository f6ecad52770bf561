package wire

// Running is a request that a worker was running when it died.
type Running struct {
	Method  string  `json:"method"`
	Path    string  `json:"path"` // of the target, without its query
	Seconds float64 `json:"seconds"`

	RequestID string `json:"request_id,omitempty"`
}

// Slow is a request that runs, or ran, for longer than slow_request_log.
type Slow struct {
	Age       int     `json:"age"`    // of the worker
	Number    uint32  `json:"number"` // by which the worker knows it
	Ended     bool    `json:"ended"`  // the response has begun, or is complete
	Method    string  `json:"method"`
	Path      string  `json:"path"` // of the target, without its query
	Client    string  `json:"client"`
	RequestID string  `json:"request_id"`
	Waited    float64 `json:"waited"` // seconds in the queue
	Ran       float64 `json:"ran"`    // seconds in the app
}
