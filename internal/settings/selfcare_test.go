package settings

import (
	"errors"
	"strings"
	"testing"
)

func TestDryRun(t *testing.T) {
	policies := []Policy{PolicyRecycle, PolicyScale, PolicyCanary, PolicyQuarantine}
	for _, c := range []struct {
		value any
		want  string // the policies that only say what they would do
	}{
		{"", ""},
		{"recycle", "recycle"},
		{"scale, quarantine", "scale quarantine"},
		{[]any{"canary"}, "canary"},
		{"all", "recycle scale canary quarantine"},
		{"recycle,all", "recycle scale canary quarantine"},
	} {
		cfg, err := Resolve("app:app", FromFile("f.py", map[string]any{"selfcare_dry_run": c.value}, nil))
		if err != nil {
			t.Errorf("%v: %v", c.value, err)
			continue
		}
		var dry []string
		for _, p := range policies {
			if cfg.DryRun(p) {
				dry = append(dry, string(p))
			}
		}
		if got := strings.Join(dry, " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.value, got, c.want)
		}
	}
}

func TestDryRunOfWhatIsNoPolicy(t *testing.T) {
	_, err := Resolve("app:app", FromFile("f.py", map[string]any{"selfcare_dry_run": "recycling"}, nil))
	var bad *ValueError
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "selfcare_dry_run: 'recycling' is none of: recycle, scale, canary, quarantine, all") {
		t.Errorf("the error is %v", err)
	}
}
