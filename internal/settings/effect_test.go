package settings

import (
	"slices"
	"strings"
	"testing"
)

// Every setting without effect says so, once, where its kind of effect says
// it; and says nothing when it has its default.
func TestEffects(t *testing.T) {
	counts := map[Effect]int{}
	for i := range Table {
		s := &Table[i]
		counts[s.Effect]++
		if s.Effect == Works {
			continue
		}
		var v any = map[string]any{"python": "<f()>"}
		if s.Kind != KindHook && s.Kind != KindBool {
			for n := 0; n == 0 || pyStr(plain(v)) == pyStr(s.Default); n++ {
				_, v, _ = sample(s, n)
			}
		}
		if s.Kind == KindBool {
			v = s.Default == false
		}
		c, err := Resolve("", FromFile("x.py", map[string]any{s.Name: v}, map[string]int{s.Name: 3}))
		text := s.Name + " (x.py, line 3) has no effect: " + strings.ReplaceAll(s.Why, "`", "")
		var warnings, notes []string
		switch s.Effect {
		case Missing:
			warnings = []string{text}
		case Needless:
			notes = []string{text}
		}
		if err != nil || !slices.Equal(c.Warnings(), warnings) || !slices.Equal(c.Notes(), notes) {
			t.Errorf("%s: %v, warnings %q, notes %q", s.Name, err, c.Warnings(), c.Notes())
		}
		if s.Kind == KindHook {
			continue
		}
		v = s.Default
		if s.Kind == KindNetworks || s.Kind == KindPeers {
			v = strings.Join(s.Default.([]string), ",")
		}
		c, err = Resolve("", Layer{Name: "x", Values: map[string]any{s.Name: v}})
		if err != nil && s.Default != nil || c.Warnings() != nil || c.Notes() != nil {
			t.Errorf("%s has its default: %v, %q, %q", s.Name, err, c.Warnings(), c.Notes())
		}
	}
	for effect := Works; effect <= Missing; effect++ {
		if counts[effect] == 0 {
			t.Errorf("no setting has the effect %d", effect)
		}
	}
}
