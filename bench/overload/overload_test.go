package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestOffer(t *testing.T) {
	var served atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%4 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	r := offer(strings.TrimPrefix(s.URL, "http://"), 100, 500*time.Millisecond)
	if r.Offered != 50 || r.Failed != 0 || r.Answered+r.Refused != 50 || r.Refused < 10 || len(r.late) != r.Answered || len(r.turned) != r.Refused {
		t.Errorf("%+v", r)
	}
}

// The plot and the table in the docs are those of the figures that are kept.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../results/overload.json")
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile("../../docs/overload.svg")
	if err != nil || string(svg) != r.svg() {
		t.Errorf("docs/overload.svg is not what go run ./bench/overload -from makes: %v", err)
	}
	page, err := os.ReadFile("../../docs/overload.md")
	if err != nil || !strings.Contains(string(page), r.table()) {
		t.Errorf("docs/overload.md does not hold the table: %v\n%s", err, r.table())
	}
	d := xml.NewDecoder(strings.NewReader(r.svg()))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}

	// What the page says of them.
	full := 0.0
	for _, s := range r.Steps {
		switch {
		case s.Offered == r.capacity():
			full = s.Answered.Median
		case full > 0 && s.Answered.Median < 0.9*full:
			t.Errorf("goodput falls from %.0f to %.0f a second at %.0f", full, s.Answered.Median, s.Offered)
		}
	}
	if last := r.Steps[len(r.Steps)-1]; last.Offered < 2*r.capacity() {
		t.Errorf("offered at most %.0f, the capacity is %.0f", last.Offered, r.capacity())
	}
}

// No two labels lie on each other, wherever the lines end.
func TestLabelsAreApart(t *testing.T) {
	for _, ends := range [][]float64{{100, 100}, {100, 101}, {101, 100}, {100, 130}, {100, 104, 108}, {60, 61, 200, 201}} {
		var p panel
		for _, y := range ends {
			p.labels = append(p.labels, label{y, "#000", "name"})
		}
		var b strings.Builder
		p.names(&b)
		var last float64
		for _, m := range regexp.MustCompile(` y="([0-9.]+)"`).FindAllStringSubmatch(b.String(), -1) {
			y, err := strconv.ParseFloat(m[1], 64)
			if err != nil || y < last+lineHeight {
				t.Errorf("lines that end at %v: %s", ends, b.String())
			}
			last = y
		}
	}
}
