package appmetrics

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a series.
const (
	maxLabels = 64
	// ownPrefix begins the names of the server's own metrics.
	ownPrefix = "indrik_"
)

// A Label is the name of a label with its value.
type Label struct{ Name, Value string }

// A key is what the key of an entry says: a list of the metric's name, the sample's name, an
// object with the labels, and, since version 0.16 of the library, the help text.
type key struct {
	metric, sample, help string
	labels               []Label // by name
}

// noHelp is the library's own text where the key has none.
const noHelp = "Multiprocess metric"

// parseKey returns what the key of an entry says. The error names the metric, if it has got
// that far.
func parseKey(data []byte) (k key, err error) {
	if len(data) > maxKey {
		return k, fmt.Errorf("a key has %d bytes, and the limit is %d", len(data), maxKey)
	}
	s := scanner{rest: data}
	if k, err = s.key(); err != nil {
		return k, err
	}
	switch {
	case !isName(strings.ReplaceAll(k.metric, ":", "_")):
		return k, fmt.Errorf("the name %s is none of a metric", quote(k.metric))
	case strings.HasPrefix(k.metric, ownPrefix):
		return k, fmt.Errorf("the metric %s has a name of the server's: those begin with %s", quote(k.metric), ownPrefix)
	}
	for _, l := range k.labels {
		if !isName(l.Name) || strings.HasPrefix(l.Name, "__") {
			return k, fmt.Errorf("the metric %s has a label whose name %s is none", quote(k.metric), quote(l.Name))
		}
	}
	sortLabels(k.labels)
	for i := 1; i < len(k.labels); i++ {
		if k.labels[i].Name == k.labels[i-1].Name {
			return k, fmt.Errorf("the metric %s has the label %s twice", quote(k.metric), quote(k.labels[i].Name))
		}
	}
	return k, nil
}

var errLabels = fmt.Errorf("a key has more than %d labels", maxLabels)

// isName reports whether s is a name as Prometheus has always had them. Those of metrics may have
// colons, too.
func isName(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func sortLabels(labels []Label) {
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
}

// quote returns a text of a worker's for the log: one line, and not long.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most]
	}
	return strconv.QuoteToASCII(s)
}

// without returns the labels but for the one with that name, and its value.
func without(labels []Label, name string) (rest []Label, value string, found bool) {
	i := slices.IndexFunc(labels, func(l Label) bool { return l.Name == name })
	if i < 0 {
		return labels, "", false
	}
	return slices.Concat(labels[:i], labels[i+1:]), labels[i].Value, true
}
