package settings

import (
	"errors"
	"strings"
	"testing"
)

func TestDryRun(t *testing.T) {
	policies := []Policy{PolicyRecycle, PolicyScale, PolicyCanary, PolicyQuarantine, PolicyRefork}
	for _, c := range []struct {
		value any
		want  string // the policies that only say what they would do
	}{
		{"", ""},
		{"recycle", "recycle"},
		{"scale, quarantine", "scale quarantine"},
		{[]any{"canary"}, "canary"},
		{"all", "recycle scale canary quarantine refork"},
		{"recycle,all", "recycle scale canary quarantine refork"},
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
	if !errors.As(err, &bad) || !strings.Contains(err.Error(), "selfcare_dry_run: 'recycling' is none of: recycle, scale, canary, quarantine, refork, all") {
		t.Errorf("the error is %v", err)
	}
}

func TestAmounts(t *testing.T) {
	for text, want := range map[string]Amount{
		"0": {}, "1048576": {Number: 1 << 20}, "512M": {Number: 512 << 20}, "512mib": {Number: 512 << 20}, "64 KB": {Number: 64 << 10}, "1.5G": {Number: 3 << 29},
		"25%": {Share: 0.25}, "0.5 %": {Share: 0.005}, "100%": {Share: 1}, "2T": {Number: 2 << 40},
	} {
		if got, err := parseAmount(text, true); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "1X", "-1", "1.5", "0%", "101%", "NaN", "NaNM", "Inf", "0x10", "1_0", "9999999T", "1e", "%", "1MM", "-5%"} {
		if got, err := parseAmount(text, true); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
	for _, text := range []string{"1M", "1.5", "a", ""} {
		if got, err := parseAmount(text, false); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

func FuzzAmount(f *testing.F) {
	for _, text := range []string{"512M", "25%", "1.5G", "0", "1e300T"} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, size bool) {
		if a, err := parseAmount(text, size); err == nil && (a.Number < 0 || a.Share < 0 || a.Share > 1 || a.Share > 0 && a.Number > 0 || a.Of(1<<40) < 0) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}

func resolveFile(t *testing.T, values map[string]any) (*Config, error) {
	t.Helper()
	return Resolve("app:app", FromFile("f.py", values, nil))
}

func TestBudget(t *testing.T) {
	for _, c := range []struct {
		value   any
		workers int
		want    int
	}{{1, 8, 1}, {"3", 8, 3}, {"25%", 8, 2}, {"25%", 3, 1}, {"100%", 8, 8}, {"10%", 0, 1}} {
		cfg, err := resolveFile(t, map[string]any{"recycle_budget": c.value})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Budget(c.workers); got != c.want {
			t.Errorf("%v of %d: %d, want %d", c.value, c.workers, got, c.want)
		}
	}
}

func TestWorkerMemory(t *testing.T) {
	cfg, err := resolveFile(t, map[string]any{"max_worker_memory": "25%", "max_worker_memory_hard": "1G"})
	if err != nil {
		t.Fatal(err)
	}
	if soft, hard := cfg.WorkerMemory(2 << 30); soft != 512<<20 || hard != 1<<30 {
		t.Errorf("%d, %d", soft, hard)
	}
	if soft, hard := cfg.WorkerMemory(0); soft != 0 || hard != 1<<30 {
		t.Errorf("where the memory is not known: %d, %d", soft, hard)
	}
}

func TestSelfCareThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		want   string
	}{
		{map[string]any{"max_worker_memory": "2G", "max_worker_memory_hard": "1G"}, "it is less than max_worker_memory"},
		{map[string]any{"max_worker_memory": "20%", "max_worker_memory_hard": "10%"}, "it is less than max_worker_memory"},
		{map[string]any{"max_worker_memory": "12 apples"}, "'12 apples' is no size: it is a number of bytes, as 512M or 2G, or a share of the memory, as 25%"},
		{map[string]any{"max_worker_memory": []any{1}}, "Not a number: [1]"},
		{map[string]any{"recycle_budget": 0}, "recycle_budget must be at least 1, got 0"},
		{map[string]any{"max_memory_use": 101}, "max_memory_use must be between 0 and 100"},
	} {
		if _, err := resolveFile(t, c.values); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.values, err, c.want)
		}
	}
	cfg, err := resolveFile(t, map[string]any{"max_worker_age_jitter": 5, "recycle_budget": 2})
	if err != nil || len(cfg.Warnings()) != 2 {
		t.Errorf("%v, %q", err, cfg.Warnings())
	}
}
