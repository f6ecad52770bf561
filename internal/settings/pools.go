package settings

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"indrik/internal/wire"
)

// dirtyPool is the name of the pool that the settings of dirty workers make.
const dirtyPool = "dirty"

// maxPools is how many pools there may be.
const maxPools = 64

// A Pool is what the settings say of one pool.
type Pool struct {
	Name            string
	Apps            []PoolApp
	Workers         int
	Threads         int
	Timeout         int // seconds; 0: none
	GracefulTimeout int // seconds
	QueueLimit      int
	Slots           []PoolSlot
}

// A PoolApp is an app that a pool hosts.
type PoolApp struct {
	Path    string // module:Class
	Workers int    // how many of the workers host it; 0: the class says, or all
}

// A PoolSlot is a resource of which each worker of a pool gets one token.
type PoolSlot struct {
	Variable string // of the environment of the worker
	Tokens   []string
}

var (
	poolName     = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	slotVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	appPath      = regexp.MustCompile(`^[^:\s]+:[^:\s]+$`)
)

// resources are names of slots that mean a variable by another name.
var resources = map[string]string{"gpu": "CUDA_VISIBLE_DEVICES"}

// HasPools reports whether there is a pool.
func (c *Config) HasPools() bool { return len(c.AllPools()) > 0 }

// AllPools returns the pools: that of the dirty workers, then the others by name.
func (c *Config) AllPools() []Pool {
	pools, _ := c.resolvePools() // what is wrong with them was said when they were resolved
	return pools
}

func (c *Config) resolvePools() ([]Pool, error) {
	var pools []Pool
	if c.DirtyWorkers() > 0 && len(c.DirtyApps()) > 0 {
		apps, err := parsePoolApps(c.DirtyApps())
		if err != nil {
			return nil, c.wrong("dirty_apps", err)
		}
		pools = append(pools, Pool{
			Name: dirtyPool, Apps: apps, Workers: c.DirtyWorkers(), Threads: c.DirtyThreads(), Timeout: c.DirtyTimeout(),
			GracefulTimeout: c.DirtyGracefulTimeout(), QueueLimit: c.DirtyQueueLimit(),
		})
	}
	named, _ := c.get("pools").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(named)) {
		p, err := c.parsePool(name, named[name])
		if err != nil {
			return nil, c.wrong("pools", fmt.Errorf("the pool %s: %w", pyRepr(name), err))
		}
		pools = append(pools, p)
	}
	return pools, c.checkTogether(pools)
}

// checkTogether checks that a call can mean one app only.
func (c *Config) checkTogether(pools []Pool) error {
	hosts := map[string]string{}
	for _, p := range pools {
		setting := "pools"
		if p.Name == dirtyPool {
			setting = "dirty_workers"
		}
		if least := p.leastWorkers(); p.Workers < least {
			return c.wrong(setting, fmt.Errorf("the pool %s has %d workers, and an app that %d of them are to host: give it as many", pyRepr(p.Name), p.Workers, least))
		}
		for _, app := range p.Apps {
			if other, twice := hosts[app.Path]; twice {
				return c.wrong(setting, fmt.Errorf("the app %s is in the pools %s and %s: a call could mean either", pyRepr(app.Path), pyRepr(other), pyRepr(p.Name)))
			}
			hosts[app.Path] = p.Name
		}
	}
	return nil
}

// leastWorkers is how many workers the apps ask for, as far as the settings say.
func (p *Pool) leastWorkers() int {
	least := 0
	for _, app := range p.Apps {
		least = max(least, app.Workers)
	}
	return least
}

// checkPoolSettings reports what is wrong with the pools, and which settings have no effect.
func (c *Config) checkPoolSettings() error {
	pools, err := c.resolvePools()
	if err != nil {
		return err
	}
	switch {
	case c.DirtyWorkers() > 0 && len(c.DirtyApps()) == 0:
		c.warn("dirty_workers (%s) has no effect: there are no dirty_apps", c.Source("dirty_workers"))
	case c.DirtyWorkers() == 0 && len(c.DirtyApps()) > 0:
		c.warn("dirty_apps (%s) has no effect: dirty_workers is 0", c.Source("dirty_apps"))
	}
	if len(pools) > 0 && runtime.GOOS != "linux" {
		setting := "pools"
		if pools[0].Name == dirtyPool {
			setting = "dirty_workers"
		}
		return c.wrong(setting, errors.New("there are pools on Linux alone: calls go by sealed memory files"))
	}
	return nil
}

// parsePoolApps parses the apps of a pool: module:Class or module:Class:N.
func parsePoolApps(specs []string) ([]PoolApp, error) {
	apps := make([]PoolApp, 0, len(specs))
	for _, spec := range specs {
		app := PoolApp{Path: spec}
		if strings.Count(spec, ":") == 2 {
			at := strings.LastIndex(spec, ":")
			n, err := parseAnyBase(spec[at+1:])
			if err != nil {
				return nil, fmt.Errorf("Invalid worker count in spec: %s. Expected integer, got %s", spec, pyRepr(spec[at+1:]))
			}
			if n < 1 || n > maxPoolWorkers {
				return nil, fmt.Errorf("Invalid worker count in spec: %s. Worker count must be >= 1, got %d", spec, n)
			}
			app = PoolApp{spec[:at], n}
		}
		if !appPath.MatchString(app.Path) || len(app.Path) > wire.MaxPoolName {
			return nil, fmt.Errorf("Invalid import path format: %s. Expected 'module.path:ClassName' or 'module.path:ClassName:N'", spec)
		}
		if slices.ContainsFunc(apps, func(a PoolApp) bool { return a.Path == app.Path }) {
			return nil, fmt.Errorf("the app %s is there twice", pyRepr(app.Path))
		}
		apps = append(apps, app)
	}
	return apps, nil
}

// parsePool parses a pool of the setting pools.
func (c *Config) parsePool(name string, v any) (Pool, error) {
	p := Pool{
		Name: name, Workers: 1, Threads: c.DirtyThreads(), Timeout: c.DirtyTimeout(),
		GracefulTimeout: c.DirtyGracefulTimeout(), QueueLimit: c.DirtyQueueLimit(),
	}
	keys, ok := v.(map[string]any)
	switch {
	case !ok:
		return p, fmt.Errorf("not a dictionary: %s", pyStr(v))
	case name == dirtyPool:
		return p, errors.New("this name is that of the pool of dirty_apps and dirty_workers: choose another one")
	case !poolName.MatchString(name):
		return p, errors.New("not a name for a pool: up to 32 small letters, digits, '-' and '_', the first one a letter")
	}
	var err error
	number := func(v any, least, most int) int {
		n, nerr := wholeNumber(plain(v), parseAnyBase)
		if nerr == nil && (n < least || most > 0 && n > most) {
			nerr = fmt.Errorf("%d is not between %d and %d", n, least, most)
			if most == 0 {
				nerr = fmt.Errorf("Value must be positive: %d", n)
			}
		}
		err = nerr
		return n
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		v := keys[key]
		switch key {
		case "app", "apps":
			var specs []string
			if specs, err = checkStrings(plain(v)); err == nil {
				var apps []PoolApp
				apps, err = parsePoolApps(specs)
				p.Apps = append(p.Apps, apps...)
			}
		case "workers":
			p.Workers = number(v, 1, maxPoolWorkers)
		case "threads":
			p.Threads = number(v, 1, maxPoolThreads)
		case "timeout":
			p.Timeout = number(v, 0, 0)
		case "graceful_timeout":
			p.GracefulTimeout = number(v, 0, 0)
		case "queue_limit":
			p.QueueLimit = number(v, 0, 0)
		case "slots":
			p.Slots, err = parseSlots(v)
		default:
			return p, fmt.Errorf("there is no key %s: the keys of a pool are app, apps, workers, threads, timeout, graceful_timeout, queue_limit and slots", pyRepr(key))
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", key, err)
		}
	}
	if len(p.Apps) == 0 {
		return p, errors.New("it has no app: give it one by 'app', as in 'app': 'module:Class'")
	}
	for _, s := range p.Slots {
		if len(s.Tokens) < p.Workers {
			return p, fmt.Errorf("slots: %d workers need as many tokens of %s, and there are %d", p.Workers, s.Variable, len(s.Tokens))
		}
	}
	return p, nil
}

// parseSlots parses the slots of a pool.
func parseSlots(v any) ([]PoolSlot, error) {
	named, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("not a dictionary: %s", pyStr(v))
	}
	var slots []PoolSlot
	for _, name := range slices.Sorted(maps.Keys(named)) {
		s := PoolSlot{Variable: name}
		if variable := resources[name]; variable != "" {
			s.Variable = variable
		}
		if !slotVariable.MatchString(s.Variable) {
			return nil, fmt.Errorf("%s is no name of a variable", pyRepr(name))
		}
		if slices.ContainsFunc(slots, func(other PoolSlot) bool { return other.Variable == s.Variable }) {
			return nil, fmt.Errorf("two names mean the variable %s", s.Variable)
		}
		tokens, ok := named[name].([]any)
		if !ok {
			return nil, fmt.Errorf("%s: not a list of tokens: %s", name, pyStr(named[name]))
		}
		for _, token := range tokens {
			text := pyStr(plain(token))
			switch token.(type) {
			case string, float64, int, int64:
			default:
				return nil, fmt.Errorf("%s: a token is a text or a number, not %s", name, text)
			}
			if strings.ContainsRune(text, 0) || slices.Contains(s.Tokens, text) {
				return nil, fmt.Errorf("%s: the token %s is there twice, or has a NUL in it", name, pyRepr(text))
			}
			s.Tokens = append(s.Tokens, text)
		}
		slots = append(slots, s)
	}
	return slots, nil
}

// checkPools accepts a dictionary; what is in it is checked together with other settings.
func checkPools(v any) (any, error) {
	v, err := checkDict(v)
	pools, ok := v.(map[string]any)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("it has something in it that is no text, no number, no list and no dictionary: %s", pyStr(v))
	case len(pools) > maxPools:
		return nil, fmt.Errorf("%d pools are too many: the limit is %d", len(pools), maxPools)
	}
	return plain(pools), nil
}

// frontPools is what the front needs of the pools.
func (c *Config) frontPools() []wire.PoolConfig {
	all := c.AllPools()
	if len(all) == 0 {
		return nil
	}
	pools := make([]wire.PoolConfig, 0, len(all))
	for _, p := range all {
		cfg := wire.PoolConfig{Name: p.Name, Timeout: p.Timeout, QueueLimit: p.QueueLimit}
		for _, app := range p.Apps {
			cfg.Apps = append(cfg.Apps, app.Path)
		}
		pools = append(pools, cfg)
	}
	return pools
}
