package wire

// PoolConfig is what a front needs of the settings of a pool.
type PoolConfig struct {
	Name       string   `json:"name"`
	Apps       []string `json:"apps"`        // module:Class of each
	Timeout    int      `json:"timeout"`     // of a call, in seconds; 0: none
	QueueLimit int      `json:"queue_limit"` // calls that may wait
}
