package canary

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Plan is how a new generation is tried.
type Plan struct {
	Share  Share
	Window time.Duration // how long at most, and at least if all is well
}

// A Share is a part of all requests, Of/All, in lowest terms.
type Share struct{ Of, All int }

// Default is the plan of a trial that is asked for without one.
var Default = Plan{Share{1, 20}, time.Minute}

// Window bounds, and the finest share.
const (
	minWindow = time.Second
	maxWindow = 24 * time.Hour
	finest    = 1000 // a share is a multiple of 0.1 %
)

var errForm = errors.New("not a share and a time, such as 5% for 60s")

// Parse reads a plan such as "5% for 60s".
func Parse(text string) (Plan, error) {
	share, window, ok := strings.Cut(text, "for")
	if !ok {
		return Plan{}, errForm
	}
	share = strings.TrimSpace(share)
	number, isPercent := strings.CutSuffix(share, "%")
	percent, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !isPercent {
		return Plan{}, errForm
	}
	of := math.Round(percent * finest / 100)
	if !(percent >= 0.1 && percent <= 50) || math.Abs(of-percent*finest/100) > 1e-9 {
		return Plan{}, fmt.Errorf("the share %s is not between 0.1%% and 50%%, in steps of 0.1%%", share)
	}
	d, err := time.ParseDuration(strings.TrimSpace(window))
	if err != nil {
		return Plan{}, errForm
	}
	if d < minWindow || d > maxWindow {
		return Plan{}, fmt.Errorf("the time %s is not between 1s and 24h", d)
	}
	return Plan{reduced(int(of), finest), d}, nil
}

func reduced(of, all int) Share {
	a, b := of, all
	for b != 0 {
		a, b = b, a%b
	}
	return Share{of / a, all / a}
}

// Float returns the share as a number from 0 to 1.
func (s Share) Float() float64 { return float64(s.Of) / float64(max(s.All, 1)) }

// Valid reports whether s is a share that Parse can return.
func (s Share) Valid() bool { return s.Of > 0 && s.All <= finest && 2*s.Of <= s.All }

// String returns the share in percent: 5%, 0.5%.
func (s Share) String() string { return strconv.FormatFloat(100*s.Float(), 'g', 4, 64) + "%" }

// String returns the plan as Parse reads it.
func (p Plan) String() string { return p.Share.String() + " for " + shortTime(p.Window) }

// shortTime is d without the zeros that [time.Duration.String] puts behind: 1m, not 1m0s.
func shortTime(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
