package settings

import "maps"

// auto is the value of workers that stands for as many as the machine is good
// for. It is not for this package to find out how many that is: until
// [Config.WithWorkers] says so it counts as one.
const auto = "auto"

func checkCount(s *Setting, v any) (any, error) {
	if v == auto {
		return auto, nil
	}
	if text, ok := v.(string); ok && isRange(text) {
		r, err := ParseWorkerRange(text)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return checkInt(s, v, parseAnyBase)
}

// AutoWorkers reports whether the number of workers is left to the machine.
func (c *Config) AutoWorkers() bool { return c.auto }

// WithWorkers returns a copy of c with that many workers in the place of auto.
func (c *Config) WithWorkers(n int) *Config {
	copied := *c
	copied.auto = false
	copied.values, copied.sources = maps.Clone(c.values), maps.Clone(c.sources)
	copied.values["workers"] = n
	copied.sources["workers"] += ": " + auto
	return &copied
}
