package settings

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// silentOptions are keys of CONFIG_KWARGS of uvicorn's worker for which nothing is to be
// said: what they choose is not there to be chosen, and nobody misses it.
var silentOptions = []string{
	"callback_notify", "factory", "http", "interface", "reload", "reset_contextvars", "timeout_notify", "use_colors", "workers", "ws",
}

// FromClass is the layer of a worker class of one's own: the kind of worker that it means,
// and the options of uvicorn's that it sets by CONFIG_KWARGS. These go above the command
// line, as they do there. remarks are what of the class has no effect.
func FromClass(class, kind string, options map[string]any, remarks []string) Layer {
	l := Layer{Name: "the class " + class, class: class, remarks: remarks}
	l.set("worker_class", kind)
	for _, key := range slices.Sorted(maps.Keys(options)) {
		if slices.Contains(silentOptions, key) {
			continue
		}
		values, why := classOption(key, options[key])
		if why != "" {
			l.remarks = append(l.remarks, fmt.Sprintf("CONFIG_KWARGS of %s: %s has no effect: %s", class, key, why))
		}
		for name, v := range values {
			l.set(name, v)
		}
	}
	return l
}

// classOption is what a key of CONFIG_KWARGS means as settings, or why it means none.
func classOption(key string, v any) (values map[string]any, why string) {
	switch key {
	case "limit_concurrency":
		return map[string]any{"worker_connections": v}, ""
	case "log_config":
		switch name, isText := v.(string); {
		case isText && strings.HasSuffix(name, ".json"):
			return map[string]any{"logconfig_json": v}, ""
		case isText && !strings.HasSuffix(name, ".ini") && !strings.HasSuffix(name, ".conf"):
			return nil, "read it in the config file, and give it to logconfig_dict"
		case isText:
			return map[string]any{"logconfig": v}, ""
		}
		return map[string]any{"logconfig_dict": v}, ""
	}
	flag := "--" + strings.ReplaceAll(strings.TrimSuffix(key, "s"), "_", "-")
	if _, many := foreignOptions[flag]; !many { // reload_dirs, headers
		flag = "--" + strings.ReplaceAll(key, "_", "-")
	}
	_, foreign := foreignOptions[flag]
	_, negated := foreignOptions["--no-"+flag[2:]]
	if !foreign && !negated && byFlag[flag] == nil {
		if s := Lookup(key); s != nil {
			return map[string]any{key: v}, ""
		}
		return nil, "it is no option of uvicorn's that is known here"
	}
	args := append(make([]string, 0, 2), flag)
	switch v := v.(type) {
	case bool:
		switch {
		case negated && v:
			return nil, "" // as by default
		case negated:
			args[0] = "--no-" + flag[2:]
		case foreignOptions[flag].takes || byFlag[flag] != nil && byFlag[flag].TakesValue():
			args = append(args, fmt.Sprint(v))
		case !v:
			return nil, ""
		}
	case float64:
		args = append(args, strconv.FormatFloat(v, 'f', -1, 64))
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, fmt.Sprint(part))
		}
		args = append(args, strings.Join(parts, ","))
	default:
		args = append(args, fmt.Sprint(v))
	}
	if answer := foreignOptions[args[0]].answer; answer != "" {
		return nil, answer
	}
	l, _, err := ParseArgs("", args)
	if err != nil {
		return nil, err.Error()
	}
	return l.Values, ""
}
