package appmetrics

// rule returns how the values of a key in several processes become one: it is called with what
// there is so far and the next one.
func (n Name) rule() func(so, next entry) entry {
	switch n.Mode {
	case "min", "livemin":
		return func(so, next entry) entry {
			if next.value < so.value {
				return next
			}
			return so
		}
	case "max", "livemax":
		return func(so, next entry) entry {
			if next.value > so.value {
				return next
			}
			return so
		}
	case "mostrecent", "livemostrecent":
		return func(so, next entry) entry {
			if next.time > so.time {
				return next
			}
			return so
		}
	case "all", "liveall":
		return func(_, next entry) entry { return next }
	}
	return func(so, next entry) entry {
		so.value += next.value
		return so
	}
}

// Condense returns a file that says what several files of the kind of n say together. They are
// the used parts of files; one that makes no sense is left out, and failed is told of it by its
// place. What is over the size of a file is left out, too: the newest keys.
func Condense(n Name, files [][]byte, failed func(i int, err error)) []byte {
	var all []entry
	places := map[string]int{}
	anyStamped := false
	size := headSize
	rule := n.rule()
	for i, data := range files {
		entries, stamped, err := decode(data)
		if err != nil {
			failed(i, err)
			continue
		}
		anyStamped = anyStamped || stamped && len(entries) > 0
		for _, e := range entries {
			if at, known := places[string(e.key)]; known {
				all[at] = rule(all[at], e)
				continue
			}
			if size += 4 + len(e.key) + padding(len(e.key)) + stampedSize; size > MaxFile {
				break
			}
			places[string(e.key)] = len(all)
			all = append(all, e)
		}
	}
	return encode(all, anyStamped)
}
