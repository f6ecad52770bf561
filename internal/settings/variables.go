package settings

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const variablePrefix = "INDRIK_"

// reserved are the variables of that prefix that are no settings: those that
// an operator sets, and those that the processes of Indrik tell each other by.
var reserved = strings.Fields(`INDRIK_CMD_ARGS INDRIK_PYTHON INDRIK_ROLE INDRIK_FRONT INDRIK_PID INDRIK_FD
	INDRIK_ORIGIN INDRIK_LINK INDRIK_UPGRADE INDRIK_PEER INDRIK_TICKETS INDRIK_ADMIN INDRIK_TARGET INDRIK_TRIAL INDRIK_DAEMONIZED`)

// Reserved reports whether an environment variable is kept for other things
// than a setting.
func Reserved(variable string) bool { return slices.Contains(reserved, variable) }

// Variable is the environment variable that gives the setting a value, ""
// for a hook.
func (s *Setting) Variable() string {
	if s.Kind == KindHook {
		return ""
	}
	return variablePrefix + strings.ToUpper(s.Name)
}

// FromVariables is the layer of the variables such as INDRIK_WORKERS: one for
// each setting. environ is os.Environ, or stands for it. An empty variable is
// not set, except for lists of networks, where it means nobody, as with
// FORWARDED_ALLOW_IPS.
func FromVariables(environ []string) Layer {
	l := Layer{Name: "environment", sources: make(map[string]string)}
	for _, pair := range environ {
		variable, text, _ := strings.Cut(pair, "=")
		name, ok := strings.CutPrefix(variable, variablePrefix)
		if !ok || Reserved(variable) {
			continue
		}
		s := Lookup(strings.ToLower(name))
		if s == nil || s.Variable() != variable {
			if !isLink(variable, text) {
				l.remarks = append(l.remarks, unknownVariable(variable, name))
			}
			continue
		}
		if text == "" && s.Kind != KindNetworks && s.Kind != KindPeers {
			continue
		}
		l.set(s.Name, fromVariable(s, text))
		l.sources[s.Name] = variable
	}
	slices.Sort(l.remarks)
	return l
}

// serviceVariable are the names of variables that Kubernetes gives all containers for
// a service; one may be called indrik.
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isLink reports whether a variable is one of those, or one that Docker makes for a
// linked container.
func isLink(variable, text string) bool {
	return serviceVariable.MatchString(variable) || strings.HasSuffix(variable, "_PORT") && strings.Contains(text, "://")
}

// unknownVariable is the warning about a variable that is no setting: what has this
// prefix is meant for this program.
func unknownVariable(variable, name string) string {
	lower := strings.ToLower(name)
	if s := Lookup(lower); s != nil && s.Kind == KindHook {
		return variable + " has no effect: hooks can be set in a config file only"
	}
	if other, ok := instead[lower]; ok {
		_, value, _ := strings.Cut(other.text, " = ")
		return fmt.Sprintf("unknown variable %s in the environment: write %s=%s", variable,
			Lookup(other.setting).Variable(), strings.Trim(value, `"`))
	}
	near := Lookup(meant[lower])
	if near == nil {
		near = nearest(name, func(s *Setting) bool { return s.Variable() != "" })
	}
	if near != nil {
		return fmt.Sprintf("unknown variable %s in the environment: did you mean %s?", variable, near.Variable())
	}
	return fmt.Sprintf("unknown variable %s in the environment: it has no effect", variable)
}

// fromVariable is the value that a text in the environment stands for.
func fromVariable(s *Setting, text string) any {
	switch {
	case s.Kind == KindBool:
		switch strings.ToLower(text) {
		case "1", "yes", "on":
			return true
		case "0", "no", "off":
			return false
		}
	case s.Kind == KindMap, s.Kind == KindDict, s.Kind == KindPools:
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil || m == nil {
			return badValue{text, fmt.Sprintf("Value is not a dictionary: %s : a JSON object is needed", text)}
		}
		return m
	case s.Repeats():
		// A list in JSON is for items with a comma. No item begins like one:
		// the IPv6 address [::1] has no quote.
		if strings.HasPrefix(text, `["`) {
			var list []string
			if err := json.Unmarshal([]byte(text), &list); err != nil {
				return badValue{text, fmt.Sprintf("not a list of strings in JSON: %s", err)}
			}
			return list
		}
		return strings.Split(text, ",")
	}
	return text
}
