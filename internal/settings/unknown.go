package settings

import (
	"fmt"
	"strings"
)

// meant are names that people write for settings, or take from other servers, and
// that are not like the setting that they mean.
var meant = map[string]string{
	"preload":                   "preload_app",
	"log_file":                  "errorlog",
	"logfile":                   "errorlog",
	"error_logfile":             "errorlog",
	"error_log":                 "errorlog",
	"access_logfile":            "accesslog",
	"access_log":                "accesslog",
	"access_log_file":           "accesslog",
	"access_logformat":          "access_log_format",
	"access_log_fmt":            "access_log_format",
	"log_level":                 "loglevel",
	"log_config":                "logconfig",
	"log_config_json":           "logconfig_json",
	"log_syslog":                "syslog",
	"keep_alive":                "keepalive",
	"timeout_keep_alive":        "keepalive",
	"timeout_graceful_shutdown": "graceful_timeout",
	"limit_max_requests":        "max_requests",
	"pid":                       "pidfile",
	"pid_file":                  "pidfile",
	"name":                      "proc_name",
	"process_name":              "proc_name",
	"env":                       "raw_env",
	"python_path":               "pythonpath",
	"app":                       "wsgi_app",
	"module":                    "wsgi_app",
	"processes":                 "workers",
	"num_workers":               "workers",
	"concurrency":               "workers",
	"ssl_keyfile":               "keyfile",
	"ssl_certfile":              "certfile",
	"worker_timeout":            "timeout",
	"lifespan":                  "asgi_lifespan",
	"loop":                      "asgi_loop",
	"working_dir":               "chdir",
}

// meantHooks are names that functions have in the config files of other servers which fork workers
// from a template.
var meantHooks = map[string]string{
	"before_fork":       "pre_fork",
	"after_fork":        "post_fork",
	"after_worker_fork": "post_fork",
	"after_mold_fork":   "after_refork",
	"on_refork":         "after_refork",
}

// instead are names for which there is a value of another kind to write.
var instead = map[string]struct{ setting, text string }{
	"host":  {"bind", `bind = "HOST:PORT"`},
	"port":  {"bind", `bind = "HOST:PORT"`},
	"uds":   {"bind", `bind = "unix:PATH"`},
	"debug": {"loglevel", `loglevel = "debug"`},
}

// unknownName is the warning about a name in a config file that is no setting,
// "" if it is like none, or a variable of the file's own: one with the name of a
// setting in it, or for a setting that the file has too. given are all names.
func unknownName(name string, v any, source string, given map[string]any) string {
	object, _ := plain(v).(pyObject)
	function := strings.HasSuffix(string(object), "()>")
	if other, ok := instead[name]; ok && !function {
		if _, set := given[other.setting]; set || !isPlain(v) {
			return ""
		}
		return fmt.Sprintf("unknown setting '%s' in %s: write %s", name, source, other.text)
	}
	near := Lookup(meant[name])
	if near != nil && (function || !near.couldBe(v)) {
		return ""
	}
	if function {
		near = Lookup(meantHooks[name])
	}
	if near == nil {
		if hasSettingInside(name) {
			return ""
		}
		near = nearest(name, func(s *Setting) bool { return !function || s.Kind == KindHook })
	}
	if near == nil {
		return ""
	}
	if _, set := given[near.Name]; set {
		return ""
	}
	return fmt.Sprintf("unknown setting '%s' in %s: did you mean '%s'?", name, source, near.Name)
}

// unknownKey is the warning about a key of a TOML file that is no setting: there all
// of them are meant for this program.
func unknownKey(name, source string) string {
	if other, ok := instead[name]; ok {
		return fmt.Sprintf("unknown setting '%s' in %s: write %s", name, source, other.text)
	}
	near := Lookup(meant[name])
	if near == nil {
		near = nearest(name, func(*Setting) bool { return true })
	}
	if near != nil {
		return fmt.Sprintf("unknown setting '%s' in %s: did you mean '%s'?", name, source, near.Name)
	}
	return fmt.Sprintf("unknown setting '%s' in %s: it has no effect", name, source)
}

// isPlain reports whether a value is a number, a text or a boolean.
func isPlain(v any) bool {
	switch plain(v).(type) {
	case int, float64, string, bool:
		return true
	}
	return false
}

// couldBe reports whether a value of that type could have been meant for the setting.
func (s *Setting) couldBe(v any) bool {
	switch v := plain(v).(type) {
	case string:
		return s.Kind != KindBool
	case bool:
		return s.Kind == KindBool
	case int:
		return s.Kind == KindInt || s.Kind == KindCount || s.Kind == KindSize || s.Kind == KindShare || s.Kind == KindSeconds
	case []string:
		return s.Repeats() && len(v) > 0
	case map[string]string:
		return s.Kind == KindPairs && len(v) > 0
	}
	return false
}

// hasSettingInside reports whether a name is that of a setting with more words around
// it, as timeout_str or use_accesslog, which config files call their own variables.
func hasSettingInside(name string) bool {
	words := strings.Split(strings.ToLower(name), "_")
	for from := range words {
		for to := from + 1; to <= len(words); to++ {
			if to-from < len(words) && Lookup(strings.Join(words[from:to], "_")) != nil {
				return true
			}
		}
	}
	return false
}

// nearest is the setting whose name is most like name, nil if none is.
func nearest(name string, eligible func(*Setting) bool) *Setting {
	var best *Setting
	distance := max(1, len(name)/3) + 1
	for i := range Table {
		s := &Table[i]
		if d := editDistance(strings.ToLower(name), s.Name); d < distance && eligible(s) {
			best, distance = s, d
		}
	}
	return best
}

// editDistance is the number of bytes to insert, delete, replace or swap with
// their neighbour to make a of b.
func editDistance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
