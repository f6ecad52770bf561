package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Config is the value of every setting. It never changes, and what its methods
// return must not be changed either. Go code reads a setting by the accessor of its
// name, such as [Config.GracefulTimeout]; names as data are for the layers and the
// documentation.
type Config struct {
	values     map[string]any
	sources    map[string]string // of those that were given
	inFile     map[string]bool   // those whose source is the config file
	app        string
	auto       bool         // the number of workers is left to the machine
	scale      *WorkerRange // it is left to the load, within this range; nil: it is not
	warnings   []string
	notes      []string
	scriptName string
	ownClass   string // the full name of the worker class of one's own, "" if there is none
}

// Resolve puts the layers on each other, from low to high, and checks every
// value. app is the one that the command line names, "" if none: wsgi_app is
// used then. A relative chdir starts from the directory that was the current
// one when the layer of [FromEnv] was made.
//
// The error joins all that is wrong, each a [*ValueError]. The Config is there
// even so, with the value of the layer below for each that is no good: it is
// fit for finding out what else is wrong.
func Resolve(app string, layers ...Layer) (*Config, error) {
	c := &Config{app: app, values: make(map[string]any, len(Table)), sources: make(map[string]string), inFile: make(map[string]bool)}
	dir := startDir(layers)
	for i := range Table {
		c.values[Table[i].Name] = Table[i].Default
	}
	c.values["chdir"] = dir
	c.values["user"], c.values["group"] = identity{id: os.Geteuid()}, identity{id: os.Getegid()}

	var errs []error
	for i := range layers {
		l := &layers[i]
		for j := range Table {
			s := &Table[j]
			if _, ok := l.Values[s.Name]; !ok {
				continue
			}
			v, err := l.check(s, dir)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			c.sources[s.Name], c.inFile[s.Name] = l.source(s.Name), l.file
			c.values[s.Name] = v
		}
		if l.path != "" && !c.IsSet("config") {
			c.values["config"] = l.path // that of the default
		}
		c.scriptName = cmp.Or(l.scriptName, c.scriptName)
		c.ownClass = cmp.Or(l.class, c.ownClass)
		c.warnings = append(c.warnings, l.remarks...)
	}
	if c.app == "" {
		c.app = c.WSGIApp()
	}
	errs = append(errs, c.findPaste(dir)...)
	if name := cmp.Or(c.DefaultProcName(), c.PasteFile(), c.app); name != "" {
		c.values["default_proc_name"] = name
	}
	if c.values["workers"] == auto {
		c.values["workers"], c.auto = 1, true
	}
	if r, ok := c.values["workers"].(WorkerRange); ok {
		c.values["workers"], c.scale = r.Start(), &r
	}
	errs = append(errs, c.checkLogFormat()...)
	c.checkEffects()
	if len(errs) == 0 {
		// What one of them says of another would only confuse.
		if err := c.together(); err != nil {
			errs = append(errs, err)
		}
	}
	return c, errors.Join(errs...)
}

func (c *Config) get(name string) any {
	v, ok := c.values[name]
	if !ok {
		panic("settings: there is no setting " + name)
	}
	return v
}

// value returns the value of a setting, the zero value for None.
func value[T any](c *Config, name string) T {
	var none T
	v := c.get(name)
	if v == nil {
		return none
	}
	typed, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("settings: the value of %s is a %T", name, v))
	}
	return typed
}

// IsSet reports whether any layer gave the setting a value.
func (c *Config) IsSet(name string) bool {
	_, ok := c.sources[name]
	return ok
}

// Source says where the value of a setting comes from: "default",
// "WEB_CONCURRENCY", "gunicorn.conf.py, line 3", "GUNICORN_CMD_ARGS",
// "command line".
func (c *Config) Source(name string) string {
	if s, ok := c.sources[name]; ok {
		return s
	}
	return "default"
}

// Warnings are things in the layers that are no errors but that the operator
// should know.
func (c *Config) Warnings() []string { return c.warnings }

// Notes are things that are of no consequence, but that explain what somebody
// might wonder about.
func (c *Config) Notes() []string { return c.notes }

// App is the app as it was specified, "" if nothing names one: see [ErrNoApp].
func (c *Config) App() string { return c.app }

// ProcName returns proc_name, the name in the titles of the processes. By default it
// follows from the app.
func (c *Config) ProcName() string {
	return cmp.Or(value[string](c, "proc_name"), c.DefaultProcName(), "indrik")
}

// Sendfile returns sendfile: whether sendfile(2) may be used. None means that it may.
func (c *Config) Sendfile() bool { return c.get("sendfile") == nil || value[bool](c, "sendfile") }

// Loglevel returns loglevel, the least level that is logged, in lower case. An unknown
// level means info.
func (c *Config) Loglevel() string {
	if level := strings.ToLower(value[string](c, "loglevel")); knownLevel(level) {
		return level
	}
	return "info"
}

// levels are the levels of the error log.
var levels = []string{"debug", "info", "warning", "error", "critical"}

func knownLevel(s string) bool { return slices.Contains(levels, strings.ToLower(s)) }

// All is the value of every setting but the hooks, by name, in types that
// JSON has: what the Python processes get. The names of the process are
// filled in. The number of workers is the most that there may be.
func (c *Config) All() map[string]any {
	all := make(map[string]any, len(c.values))
	for name, v := range c.values {
		if Lookup(name).Kind == KindHook {
			continue // it is where it was made
		}
		switch v := v.(type) {
		case identity:
			all[name] = v.id
		case pyObject:
			all[name] = map[string]any{"python": string(v)} // as it came
		case []string:
			all[name] = append([]string{}, v...) // [] and not null
		default:
			all[name] = v
		}
	}
	if c.scale != nil {
		all["workers"] = c.scale.Most
	}
	all["proc_name"] = c.ProcName()
	if c.DefaultProcName() == "" {
		all["default_proc_name"] = c.ProcName()
	}
	return all
}
