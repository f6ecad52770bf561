package settings

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Config is the value of every setting. It never changes; what its methods
// return must not be changed either. A method panics when the setting does
// not exist or has another type: that is a mistake in the program.
type Config struct {
	values     map[string]any
	sources    map[string]string // of those that were given
	inFile     map[string]bool   // those whose source is the config file
	app        string
	auto       bool // the number of workers is left to the machine
	warnings   []string
	notes      []string
	scriptName string
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
		if l.scriptName != "" {
			c.scriptName = l.scriptName
		}
		c.warnings = append(c.warnings, l.remarks...)
	}
	if c.app == "" {
		c.app = c.String("wsgi_app")
	}
	errs = append(errs, c.findPaste(dir)...)
	if name := cmp.Or(c.String("default_proc_name"), c.PasteFile(), c.app); name != "" {
		c.values["default_proc_name"] = name
	}
	if c.values["workers"] == auto {
		c.values["workers"], c.auto = 1, true
	}
	errs = append(errs, c.checkLogFormat()...)
	errs = append(errs, c.checkEffects()...)
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

func mistyped(name string, v any) string {
	return fmt.Sprintf("settings: the value of %s is a %T", name, v)
}

// String returns the value of a setting, "" for None. That of user and group
// is the text as it was given.
func (c *Config) String(name string) string {
	switch v := c.get(name).(type) {
	case nil:
		return ""
	case string:
		return v
	case identity:
		return v.text
	default:
		panic(mistyped(name, v))
	}
}

// Int returns the value of a setting. That of user and group is an id, by
// default the process's own.
func (c *Config) Int(name string) int {
	switch v := c.get(name).(type) {
	case int:
		return v
	case identity:
		return v.id
	default:
		panic(mistyped(name, v))
	}
}

// Bool returns the value of a setting, false for None.
func (c *Config) Bool(name string) bool {
	switch v := c.get(name).(type) {
	case nil:
		return false
	case bool:
		return v
	default:
		panic(mistyped(name, v))
	}
}

// Strings returns the value of a setting.
func (c *Config) Strings(name string) []string {
	list, ok := c.get(name).([]string)
	if !ok {
		panic(mistyped(name, c.get(name)))
	}
	return list
}

// Map returns the value of a setting.
func (c *Config) Map(name string) map[string]string {
	m, ok := c.get(name).(map[string]string)
	if !ok {
		panic(mistyped(name, c.get(name)))
	}
	return m
}

// IsSet tells whether any layer gave the setting a value.
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

// ProcName is the name in the titles of the processes.
func (c *Config) ProcName() string {
	return cmp.Or(c.String("proc_name"), c.String("default_proc_name"), "indrik")
}

// Sendfile tells whether sendfile(2) may be used.
func (c *Config) Sendfile() bool { return c.get("sendfile") == nil || c.Bool("sendfile") }

// LogLevel is the least level that is logged, in lower case.
func (c *Config) LogLevel() string {
	if level := strings.ToLower(c.String("loglevel")); knownLevel(level) {
		return level
	}
	return "info"
}

// levels are the levels of the error log.
var levels = []string{"debug", "info", "warning", "error", "critical"}

func knownLevel(s string) bool { return slices.Contains(levels, strings.ToLower(s)) }

// All is the value of every setting but the hooks, by name, in types that
// JSON has: what the Python processes get. The names of the process are
// filled in.
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
	all["proc_name"] = c.ProcName()
	if c.String("default_proc_name") == "" {
		all["default_proc_name"] = c.ProcName()
	}
	return all
}
