package settings

import (
	"fmt"
	"strings"
)

// checkEffects tells of the settings that were set and do not do what they say.
func (c *Config) checkEffects() {
	for i := range Table {
		s := &Table[i]
		if s.Effect == Works || !c.changed(s) {
			continue
		}
		why := strings.ReplaceAll(s.Why, "`", "")
		switch s.Effect {
		case Missing:
			c.warn("%s (%s) has no effect: %s", s.Name, c.Source(s.Name), why)
		case Needless:
			c.notes = append(c.notes, fmt.Sprintf("%s (%s) has no effect: %s", s.Name, c.Source(s.Name), why))
		default: // it does what it says
		}
	}
}

// changed reports whether a setting has another value than by default.
func (c *Config) changed(s *Setting) bool {
	if !c.IsSet(s.Name) || s.Kind == KindHook {
		return c.IsSet(s.Name)
	}
	v := c.Print(s.Name)
	return v != pyStr(s.Default) && (v != "" || s.Default != nil) // an empty text means None
}
