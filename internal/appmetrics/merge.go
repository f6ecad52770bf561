package appmetrics

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Limits of all that a [Merger] adds up.
const (
	// MaxKeys is how many values of different keys there may be: a histogram has one for each
	// bucket.
	MaxKeys = 50_000
	// maxKeyBytes is how large these keys may be together.
	maxKeyBytes = 16 << 20
)

// A Family is a metric with all of its series, as they are exposed.
type Family struct {
	Name   string // of a counter with _total
	Help   string
	Type   Type
	Series []Series // by labels
}

// A Series is what has one set of labels. A counter and a gauge have a value, a histogram and a
// summary a sum and a count.
type Series struct {
	Labels  []Label // by name
	Value   float64
	Sum     float64
	Count   float64
	Buckets []Bucket // by bound
}

// A Bucket counts the observations up to its bound, those of the buckets before it among them.
type Bucket struct{ Bound, Count float64 }

// A Merger adds up the files of all processes. It must not be used by two goroutines at once.
type Merger struct {
	problem  func(string)
	families map[string]*family
	targets  map[string]map[string]*target // by what files have in common, and by the key
	keys     int                           // how many targets there are
	keyBytes int
}

// NewMerger returns a merger that has nothing. It calls problem for what is left out, with a
// text that names the metric.
func NewMerger(problem func(text string)) *Merger {
	return &Merger{problem: problem, families: map[string]*family{}, targets: map[string]map[string]*target{}}
}

// A family is a metric, as the first key of it says.
type family struct {
	name, help string
	of         Name // a file that it was found in
	series     map[string]*series
}

type series struct {
	labels  []Label
	total   entry // of a counter or gauge
	has     bool  // total has a value
	sum     float64
	count   float64
	buckets map[float64]float64
}

// A target is where the values of a key go.
type target struct {
	part   part
	series *series
	bound  float64 // of a bucket
}

// A part is which of the values of a series a key is of.
type part byte

const (
	leftOut part = iota
	isTotal
	isSum
	isCount
	isBucket
)

// Add adds the used part of a file. The error is that of a file that makes no sense, of which
// nothing is added.
func (m *Merger) Add(n Name, data []byte) error {
	entries, _, err := decode(data)
	if err != nil {
		return err
	}
	alike := n.kind()
	if n.keepsProcess() {
		alike = n.String()
	}
	targets := m.targets[alike]
	if targets == nil {
		targets = map[string]*target{}
		m.targets[alike] = targets
	}
	rule := n.rule()
	for _, e := range entries {
		t := targets[string(e.key)]
		if t == nil {
			if m.keyBytes += len(e.key); m.keys == MaxKeys || m.keyBytes > maxKeyBytes {
				m.problem(fmt.Sprintf("there are more than %d values, or their names have more than %d MiB: the rest is left out", MaxKeys, maxKeyBytes>>20))
				return nil
			}
			m.keys++
			t = m.locate(n, e.key)
			targets[string(e.key)] = t
		}
		t.add(n, rule, e)
	}
	return nil
}

// add adds a value.
func (t *target) add(n Name, rule func(so, next entry) entry, e entry) {
	s := t.series
	switch t.part {
	case leftOut:
	case isTotal:
		switch {
		case s.has:
			s.total = rule(s.total, e)
		case n.isMostRecent() && e.time <= 0: // it was never set
		default:
			s.total, s.has = e, true
		}
	case isSum:
		s.sum += e.value
	case isCount:
		s.count += e.value
	case isBucket:
		s.buckets[t.bound] += e.value
	}
}

// locate returns where the values of a key of the file n go. What makes no sense is left out.
func (m *Merger) locate(n Name, data []byte) *target {
	k, err := parseKey(data)
	if err != nil {
		m.problem(err.Error())
		return &target{}
	}
	t := &target{}
	labels := k.labels
	switch suffix, _ := strings.CutPrefix(k.sample, k.metric); {
	case !strings.HasPrefix(k.sample, k.metric):
	case n.Type == Counter && suffix == "_total", n.Type == Gauge && suffix == "":
		t.part = isTotal
	case (n.Type == Histogram || n.Type == Summary) && suffix == "_sum":
		t.part = isSum
	case n.Type == Summary && suffix == "_count":
		t.part = isCount
	case n.Type == Histogram && suffix == "_bucket":
		rest, le, found := without(k.labels, "le")
		if t.bound, err = strconv.ParseFloat(le, 64); found && err == nil && !math.IsNaN(t.bound) {
			t.part, labels = isBucket, rest
		}
	}
	if t.part == leftOut {
		m.problem(fmt.Sprintf("the metric %s, a %s, has a value %s", quote(k.metric), n.Type, quote(k.sample)))
		return t
	}
	name := k.metric
	if n.Type == Counter {
		name = k.sample
	}
	f := m.families[name]
	switch {
	case f == nil:
		f = &family{name: name, help: k.help, of: n, series: map[string]*series{}}
		m.families[name] = f
	case f.of.kind() != n.kind():
		m.problem(fmt.Sprintf("the metric %s is both a %s and a %s: the second one is left out", quote(name), f.of.spoken(), n.spoken()))
		return &target{}
	case f.help != k.help:
		m.problem(fmt.Sprintf("the metric %s has two help texts: the first one is shown", quote(k.metric)))
	}
	if n.Type == Gauge {
		labels, _, _ = without(labels, "pid")
		if n.keepsProcess() {
			labels = append(slices.Clip(labels), Label{"pid", n.Process})
			sortLabels(labels)
		}
	}
	t.series = f.with(labels)
	return t
}

// with returns the series that has labels.
func (f *family) with(labels []Label) *series {
	var id []byte
	for _, l := range labels {
		id = append(append(id, l.Name...), 0)
		id = binary.AppendUvarint(id, uint64(len(l.Value)))
		id = append(id, l.Value...)
	}
	s := f.series[string(id)]
	if s == nil {
		s = &series{labels: labels}
		if f.of.Type == Histogram {
			s.buckets = map[float64]float64{}
		}
		f.series[string(id)] = s
	}
	return s
}

// spoken is the kind of a metric for people.
func (n Name) spoken() string {
	if n.Mode != "" {
		return string(n.Type) + " with multiprocess_mode " + n.Mode
	}
	return string(n.Type)
}

// Families returns the metrics, by name, with what all files said together.
func (m *Merger) Families() []Family {
	var families []Family
	for _, name := range slices.Sorted(maps.Keys(m.families)) {
		f := m.families[name]
		out := Family{Name: f.name, Help: f.help, Type: f.of.Type}
		for _, s := range f.series {
			single := f.of.Type == Counter || f.of.Type == Gauge
			if single && !s.has {
				continue
			}
			out.Series = append(out.Series, s.exposed(f.of.Type))
		}
		slices.SortFunc(out.Series, func(a, b Series) int { return slices.CompareFunc(a.Labels, b.Labels, compareLabels) })
		if len(out.Series) > 0 {
			families = append(families, out)
		}
	}
	return families
}

func compareLabels(a, b Label) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

// exposed returns a series with the buckets added up: in the files each has its own count.
func (s *series) exposed(t Type) Series {
	out := Series{Labels: s.labels, Value: s.total.value, Sum: s.sum, Count: s.count}
	if t != Histogram {
		return out
	}
	for _, bound := range slices.Sorted(maps.Keys(s.buckets)) {
		out.Count += s.buckets[bound]
		out.Buckets = append(out.Buckets, Bucket{bound, out.Count})
	}
	return out
}
