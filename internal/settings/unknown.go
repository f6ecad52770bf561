package settings

import (
	"fmt"
	"strings"
)

// unknownName is the warning about a name in a config file that is no setting,
// "" if it is like none: config files have variables and functions of their
// own. A function can only have been meant as a hook.
func unknownName(name string, v any, source string) string {
	object, _ := plain(v).(pyObject)
	function := strings.HasSuffix(string(object), "()>")
	near := nearest(name, func(s *Setting) bool { return !function || s.Kind == KindHook })
	if near == nil {
		return ""
	}
	return fmt.Sprintf("unknown setting '%s' in %s: did you mean '%s'?", name, source, near.Name)
}

// nearest is the setting whose name is most like name, nil if none is.
func nearest(name string, eligible func(*Setting) bool) *Setting {
	var best *Setting
	distance := max(1, len(name)/3) + 1
	for i := range Table {
		s := &Table[i]
		if d := editDistance(strings.ToLower(name), s.Name); d < distance && eligible(s) {
			best, distance = s, d
		}
	}
	return best
}

// editDistance is the number of bytes to insert, delete, replace or swap with
// their neighbour to make a of b.
func editDistance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
