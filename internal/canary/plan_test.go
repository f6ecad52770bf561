package canary

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Plan{
		"5% for 60s":     {Share{1, 20}, time.Minute},
		"5 % for 1m":     {Share{1, 20}, time.Minute},
		" 12.5% for 2s ": {Share{1, 8}, 2 * time.Second},
		"0.1% for 24h":   {Share{1, 1000}, 24 * time.Hour},
		"50% for 1m30s":  {Share{1, 2}, 90 * time.Second},
		"33% for 1s":     {Share{33, 100}, time.Second},
		"33%for1s":       {Share{33, 100}, time.Second},
	} {
		p, err := Parse(text)
		if err != nil || p != want {
			t.Errorf("%q: %v, %v", text, p, err)
		}
		if !p.Share.Valid() {
			t.Errorf("%q: the share %v is not valid", text, p.Share)
		}
		if again, err := Parse(p.String()); err != nil || again != p {
			t.Errorf("%q: %q is not the same plan: %v, %v", text, p, again, err)
		}
	}
}

func TestParseOfWhatIsNoPlan(t *testing.T) {
	for text, want := range map[string]string{
		"":                  "such as 5% for 60s",
		"5%":                "such as 5% for 60s",
		"5 for 60s":         "such as 5% for 60s",
		"five% for 60s":     "such as 5% for 60s",
		"5% for a minute":   "such as 5% for 60s",
		"5% for 60":         "such as 5% for 60s",
		"0% for 60s":        "between 0.1% and 50%",
		"-5% for 60s":       "between 0.1% and 50%",
		"51% for 60s":       "between 0.1% and 50%",
		"NaN% for 60s":      "between 0.1% and 50%",
		"0.15% for 60s":     "in steps of 0.1%",
		"5% for 0s":         "between 1s and 24h",
		"5% for -1m":        "between 1s and 24h",
		"5% for 25h":        "between 1s and 24h",
		"5% for 999999999h": "such as 5% for 60s",
	} {
		if p, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("5% for 60s")
	f.Add("12.5 % for 1h2m3s")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if !p.Share.Valid() || p.Window < minWindow || p.Window > maxWindow {
			t.Errorf("%q is %+v", text, p)
		}
		if again, err := Parse(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, and that is %v, %v", text, p, again, err)
		}
	})
}

// TestDeckIsExact checks that of each All draws Of are the new generation's, at places that
// have no pattern.
func TestDeckIsExact(t *testing.T) {
	for _, share := range []Share{{1, 20}, {1, 1000}, {33, 100}, {1, 2}} {
		d := NewDeck(share, nil)
		places := map[int]bool{}
		for range 200 {
			hits := 0
			for i := range share.All {
				if d.Draw() {
					hits++
					places[i] = true
				}
			}
			if hits != share.Of {
				t.Fatalf("%v: %d of %d", share, hits, share.All)
			}
		}
		if len(places) < min(share.All, 100) {
			t.Errorf("%v: the draws are at %d places only", share, len(places))
		}
	}
	if NewDeck(Share{}, nil).Draw() {
		t.Error("no share is dealt")
	}
}
