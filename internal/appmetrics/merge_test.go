package appmetrics

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A sampleSet is what testdata/make.py has written: files of the library's, and what its own
// collector says of them.
type sampleSet struct {
	Files    map[string][]byte
	Families []struct {
		Name, Type, Help string
		Samples          [][3]any // name, labels, value as text
	}
}

func sampleSets(t testing.TB) map[string]sampleSet {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json.gz")
	if err != nil || len(paths) < 5 {
		t.Fatalf("the samples are %v: %v", paths, err)
	}
	sets := map[string]sampleSet{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var set sampleSet
		if err := json.NewDecoder(z).Decode(&set); err != nil {
			t.Fatal(err)
		}
		sets[strings.TrimSuffix(filepath.Base(path), ".json.gz")] = set
	}
	return sets
}

// collected is what the library's collector said, as lines.
func (s sampleSet) collected() map[string]float64 {
	lines := map[string]float64{}
	for _, f := range s.Families {
		for _, sample := range f.Samples {
			var labels []Label
			for name, value := range sample[1].(map[string]any) {
				text := value.(string)
				if bound, err := strconv.ParseFloat(text, 64); err == nil && name == "le" {
					text = strconv.FormatFloat(bound, 'g', -1, 64)
				}
				labels = append(labels, Label{name, text})
			}
			sortLabels(labels)
			value, err := strconv.ParseFloat(sample[2].(string), 64)
			if err != nil {
				panic(err)
			}
			lines[line(f.Type, f.Help, sample[0].(string), labels)] = value
		}
	}
	return lines
}

func line(kind, help, name string, labels []Label) string {
	return fmt.Sprintf("%s %q %s%q", kind, help, name, labels)
}

// lines is what families say in the same form.
func lines(families []Family) map[string]float64 {
	out := map[string]float64{}
	for _, f := range families {
		put := func(suffix string, labels []Label, v float64) {
			out[line(string(f.Type), f.Help, f.Name+suffix, labels)] = v
		}
		for _, s := range f.Series {
			switch f.Type {
			case Histogram:
				for _, b := range s.Buckets {
					labels := append(slices.Clone(s.Labels), Label{"le", strconv.FormatFloat(b.Bound, 'g', -1, 64)})
					sortLabels(labels)
					put("_bucket", labels, b.Count)
				}
				put("_sum", s.Labels, s.Sum)
				put("_count", s.Labels, s.Count)
			case Summary:
				put("_sum", s.Labels, s.Sum)
				put("_count", s.Labels, s.Count)
			default:
				put("", s.Labels, s.Value)
			}
		}
	}
	return out
}

func same(t *testing.T, got, want map[string]float64) {
	t.Helper()
	if len(want) < 50 {
		t.Errorf("there are only %d values to compare", len(want))
	}
	for l, w := range want {
		g, found := got[l]
		// The order in which values are added up is not the same.
		if !found || g != w && math.Abs(g-w) > 1e-12*math.Abs(w) {
			t.Errorf("%s is %v (%v), and the library says %v", l, g, found, w)
		}
	}
	for l := range got {
		if _, found := want[l]; !found {
			t.Errorf("%s: the library does not say that", l)
		}
	}
}

func merged(t *testing.T, files map[string][]byte) map[string]float64 {
	t.Helper()
	m := NewMerger(func(text string) { t.Errorf("problem: %s", text) })
	for _, file := range slices.Sorted(maps.Keys(files)) {
		n, ok := ParseName(file)
		if !ok || n.String() != file {
			t.Fatalf("the name %s is read as %v, %v", file, n, ok)
		}
		if err := m.Add(n, files[file]); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	return lines(m.Families())
}

func TestEqualsTheLibrarysCollector(t *testing.T) {
	for version, set := range sampleSets(t) {
		t.Run(version, func(t *testing.T) { same(t, merged(t, set.Files), set.collected()) })
	}
}

// It makes no difference how many of the files were made one.
func TestCondensedFilesSayTheSame(t *testing.T) {
	for version, set := range sampleSets(t) {
		t.Run(version, func(t *testing.T) {
			alike := map[string][]string{}
			files := maps.Clone(set.Files)
			for _, file := range slices.Sorted(maps.Keys(files)) {
				n, _ := ParseName(file)
				if n.keepsProcess() {
					continue
				}
				n.Process = ended
				so := n.String()
				alike[so] = append(alike[so], file)
				if len(alike[so]) == 3 {
					continue // it still runs
				}
				var parts [][]byte
				if earlier := files[so]; earlier != nil {
					parts = append(parts, earlier)
				}
				files[so] = condensed(t, n, append(parts, files[file])...)
				delete(files, file)
			}
			if len(files) >= len(set.Files) {
				t.Errorf("of %d files %d were left", len(set.Files), len(files))
			}
			same(t, merged(t, files), set.collected())
		})
	}
}

// condensed makes one file of several.
func condensed(t *testing.T, n Name, files ...[]byte) []byte {
	t.Helper()
	c := NewCondenser(n)
	for _, data := range files {
		if err := c.Add(data); err != nil {
			t.Error(err)
		}
	}
	return c.File()
}

func TestCondensedFileIsBounded(t *testing.T) {
	n := Name{Type: Counter, Process: ended}
	c := NewCondenser(n)
	help := strings.Repeat("h", 8000)
	for i := range 3 * MaxFile / 8000 {
		if err := c.Add(used(value(fmt.Sprintf(`["a%d", "a%d_total", {}, "%s"]`, i, i, help), 1))); err != nil {
			t.Fatal(err)
		}
	}
	data := c.File()
	if read, err := ReadUsed(bytes.NewReader(data)); len(data) > MaxFile || len(data) < MaxFile-9000 || len(read) != len(data) {
		t.Errorf("it has %d bytes, of which %d are read: %v", len(data), len(read), err)
	}
}

// used makes the used part of a file with entries of the latest form.
func used(entries ...entry) []byte { return encode(entries, true) }

func value(key string, v float64) entry { return entry{key: []byte(key), value: v} }

func TestLeavesOutWhatMakesNoSense(t *testing.T) {
	counter := Name{Type: Counter, Process: "1"}
	for _, c := range []struct {
		name    Name
		key     string
		problem string
	}{
		{counter, `["a", "a_total", {}, ""]x`, "is not the JSON"},
		{counter, `["a`, "is not the JSON"},
		{counter, `["a\\"`, "is not the JSON"},
		{counter, `["a", "a_total", {"l": "\x"}, ""]`, "is not the JSON"},
		{counter, `["a", "a_total", {"l": "v",}, ""]`, "is not the JSON"},
		{counter, `["a", "a_total", {"l": "v"`, "is not the JSON"},
		{counter, `["a", "a_total"]`, "is not the JSON"},
		{counter, `["a", "a_total", {}, "", 5]`, "number of parts"},
		{counter, `["a", 5, {}, ""]`, "is not the JSON"},
		{counter, `["a", "a_total", {"l": 5}, ""]`, "is not the JSON"},
		{counter, `["a", "a_total", {"l": "v", "m": "w", "l": "x"}, ""]`, `has the label "l" twice`},
		{counter, `["a", "a_total", {` + strings.Repeat(`"l": "", `, maxLabels) + `"l": ""}, ""]`, "more than 64 labels"},
		{counter, `["", "_total", {}, ""]`, `the name "" is none`},
		{counter, `["a\n# TYPE", "a\n# TYPE_total", {}, ""]`, `the name "a\n# TYPE" is none`},
		{counter, `["indrik_x", "indrik_x_total", {}, ""]`, "has a name of the server's"},
		{counter, `["a", "a_total", {"l\"": "v"}, ""]`, "a label whose name"},
		{counter, `["a", "a_total", {"__name__": "v"}, ""]`, "a label whose name"},
		{counter, `["a", "b_total", {}, ""]`, `has a value "b_total"`},
		{counter, `["a", "a", {}, ""]`, `has a value "a"`},
		{counter, `["a", "a_total", {}, "` + strings.Repeat("h", maxKey) + `"]`, "and the limit is 8192"},
		{Name{Type: Histogram, Process: "1"}, `["a", "a_bucket", {"le": "x"}, ""]`, `has a value "a_bucket"`},
		{Name{Type: Histogram, Process: "1"}, `["a", "a_bucket", {"le": "NaN"}, ""]`, `has a value "a_bucket"`},
		{Name{Type: Histogram, Process: "1"}, `["a", "a_bucket", {}, ""]`, `has a value "a_bucket"`},
		{Name{Type: Histogram, Process: "1"}, `["a", "a_count", {}, ""]`, `has a value "a_count"`},
	} {
		var problems []string
		m := NewMerger(func(text string) { problems = append(problems, text) })
		if err := m.Add(c.name, used(value(`["good", "good`+map[Type]string{Counter: "_total", Histogram: "_sum"}[c.name.Type]+`", {}, ""]`, 1), value(c.key, 5))); err != nil {
			t.Errorf("%s: %v", c.key, err)
		}
		if len(problems) != 1 || !strings.Contains(problems[0], c.problem) || strings.Contains(problems[0], "\n") {
			t.Errorf("%s: the problems are %q, not %q", c.key, problems, c.problem)
		}
		if f := m.Families(); len(f) != 1 || !strings.HasPrefix(f[0].Name, "good") {
			t.Errorf("%s: the metrics are %v", c.key, f)
		}
	}
}

func TestConflictsKeepTheFirst(t *testing.T) {
	var problems []string
	m := NewMerger(func(text string) { problems = append(problems, text) })
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(m.Add(Name{Type: Counter, Process: "1"}, used(value(`["a", "a_total", {}, "first"]`, 1))))
	must(m.Add(Name{Type: Counter, Process: "2"}, used(value(`["a", "a_total", {}, "second"]`, 2))))
	must(m.Add(Name{Gauge, "sum", "3"}, used(value(`["a_total", "a_total", {}, "first"]`, 4))))
	must(m.Add(Name{Gauge, "max", "3"}, used(value(`["b", "b", {}, "first"]`, 4))))
	must(m.Add(Name{Gauge, "sum", "3"}, used(value(`["b", "b", {}, "first"]`, 5))))
	got := m.Families()
	if len(got) != 2 || got[0].Help != "first" || got[0].Series[0].Value != 3 || got[1].Series[0].Value != 4 {
		t.Errorf("the metrics are %+v", got)
	}
	want := []string{
		`the metric "a" has two help texts: the first one is shown`,
		`the metric "a_total" is both a counter and a gauge with multiprocess_mode sum: the second one is left out`,
		`the metric "b" is both a gauge with multiprocess_mode max and a gauge with multiprocess_mode sum: the second one is left out`,
	}
	if !slices.Equal(problems, want) {
		t.Errorf("the problems are %q", problems)
	}
}

func TestNumberOfValuesIsBounded(t *testing.T) {
	var problems int
	m := NewMerger(func(string) { problems++ })
	for p := range 3 {
		var entries []entry
		for i := range MaxKeys / 2 {
			entries = append(entries, value(fmt.Sprintf(`["a", "a_total", {"l": "%d-%d"}, ""]`, p, i), 1))
		}
		if err := m.Add(Name{Type: Counter, Process: "1"}, used(entries...)); err != nil {
			t.Fatal(err)
		}
	}
	if f := m.Families(); problems != 1 || len(f[0].Series) != MaxKeys {
		t.Errorf("%d series, %d problems", len(f[0].Series), problems)
	}
	m = NewMerger(func(string) { problems++ })
	help := strings.Repeat("h", maxKey-100)
	for i := range 2 * maxKeyBytes / maxKey {
		if err := m.Add(Name{Type: Counter, Process: "1"}, used(value(fmt.Sprintf(`["a", "a_total", {"l": "%d"}, "%s"]`, i, help), 1))); err != nil {
			t.Fatal(err)
		}
	}
	if f := m.Families(); problems < 2 || len(f[0].Series) > maxKeyBytes/(maxKey-100) {
		t.Errorf("%d series with large keys, %d problems", len(f[0].Series), problems)
	}
}

func TestParseName(t *testing.T) {
	for _, s := range []string{
		"counter_.db", "counter_1.db.tmp", "counter_1", "_1.db", ".db", "gauge_1.db", "gauge_new_1.db", "counter_all_1.db", "info_1.db",
		"counter_../1.db", "counter_" + strings.Repeat("1", maxProcess+1) + ".db", "counter_\n.db", "",
	} {
		if n, ok := ParseName(s); ok {
			t.Errorf("%q is read as %+v", s, n)
		}
	}
	if n, ok := ParseName("gauge_livesum_uwsgi-3.db"); !ok || n != (Name{Gauge, "livesum", "uwsgi-3"}) || !n.isLive() {
		t.Errorf("it is read as %+v, %v", n, ok)
	}
	for _, n := range namesOf(631) {
		if got, ok := ParseName(n.String()); !ok || got != n {
			t.Errorf("%s is read as %+v", n, got)
		}
	}
}

// Whatever a worker writes: no panic, no more than it gave, and what was condensed can be read.
func FuzzFiles(f *testing.F) {
	for _, set := range sampleSets(f) {
		for file, data := range set.Files {
			f.Add(file, data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		n, ok := ParseName(name)
		if !ok {
			n = Name{Type: Counter, Process: "1"}
		}
		content, err := ReadUsed(bytes.NewReader(data))
		if err != nil {
			return
		}
		m := NewMerger(func(text string) {
			if strings.ContainsAny(text, "\n\r") || len(text) > 1000 {
				t.Errorf("the log would get %q", text)
			}
		})
		if m.Add(n, content) != nil {
			return
		}
		var series int
		for _, family := range m.Families() {
			if !isName(strings.ReplaceAll(family.Name, ":", "_")) || strings.HasPrefix(family.Name, ownPrefix) {
				t.Errorf("there is a metric %q", family.Name)
			}
			series += len(family.Series)
		}
		if series > len(data)/16 {
			t.Errorf("%d bytes made %d series", len(data), series)
		}
		once := condensed(t, n, content)
		twice := condensed(t, n, once)
		if len(once) > len(content)+headSize || !bytes.Equal(once, twice) {
			t.Errorf("%d bytes became %d, then %d", len(content), len(once), len(twice))
		}
	})
}
