package appmetrics

import (
	"math"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
)

// text is what a scraper gets.
func text(t *testing.T, format expfmt.Format, families []Family) string {
	t.Helper()
	var out strings.Builder
	for _, f := range Expose(families) {
		if err := expfmt.NewEncoder(&out, format).Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestExpose(t *testing.T) {
	labels := []Label{{"a", "x"}, {"b", "\"y\\\n"}}
	families := []Family{
		{"c_total", "Counts.", Counter, []Series{{Labels: labels, Value: 2.5}}},
		{"g", "", Gauge, []Series{{Value: math.Inf(-1)}}},
		{"h", "Two\nlines.", Histogram, []Series{{Labels: labels[:1], Sum: 7, Count: 3, Buckets: []Bucket{{1, 2}, {math.Inf(1), 3}}}}},
		{"s", "", Summary, []Series{{Sum: -1, Count: math.NaN()}, {Labels: labels[:1], Count: math.Inf(1)}, {Labels: labels[1:], Count: -5}}},
	}
	want := `# HELP c_total Counts.
# TYPE c_total counter
c_total{a="x",b="\"y\\\n"} 2.5
# HELP g
# TYPE g gauge
g -Inf
# HELP h Two\nlines.
# TYPE h histogram
h_bucket{a="x",le="1"} 2
h_bucket{a="x",le="+Inf"} 3
h_sum{a="x"} 7
h_count{a="x"} 3
# HELP s
# TYPE s summary
s_sum -1
s_count 0
s_sum{a="x"} 0
s_count{a="x"} 9007199254740992
s_sum{b="\"y\\\n"} 0
s_count{b="\"y\\\n"} 0
`
	got := strings.ReplaceAll(text(t, expfmt.NewFormat(expfmt.TypeTextPlain), families), " \n", "\n")
	if strings.ReplaceAll(got, "9.007199254740992e+15", "9007199254740992") != want {
		t.Errorf("the page is\n%s", got)
	}
	if got := text(t, expfmt.NewFormat(expfmt.TypeOpenMetrics), families); !strings.Contains(got, "# TYPE c counter\nc_total{") {
		t.Errorf("the page of OpenMetrics is\n%s", got)
	}
}
