package liveview

// A Histogram counts durations by how long they were.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, inclusive, growing
	Counts []uint64  // one for each bound, and one for what is longer than the last
}

// since returns what has been counted after another, earlier state of the histogram. A count
// that has become less has begun again.
func (h Histogram) since(before Histogram) Histogram {
	if len(before.Counts) != len(h.Counts) {
		return h
	}
	diff := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts))}
	for i, n := range h.Counts {
		diff.Counts[i] = grown(n, before.Counts[i])
	}
	return diff
}

// grown returns by how much a counter has grown.
func grown(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// quantiles estimates quantiles in seconds, as histogram_quantile of Prometheus does: within a
// bucket durations are taken to be spread evenly, and what is longer than the last bound
// counts as that. It returns nil if nothing was counted.
func (h Histogram) quantiles(qs ...float64) []float64 {
	total := uint64(0)
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 || len(h.Counts) != len(h.Bounds)+1 {
		return nil
	}
	found := make([]float64, 0, len(qs))
	for _, q := range qs {
		found = append(found, h.quantile(q*float64(total)))
	}
	return found
}

// quantile returns the duration below which so many of the counted ones are.
func (h Histogram) quantile(rank float64) float64 {
	below := 0.0
	lower := 0.0
	for i, upper := range h.Bounds {
		n := float64(h.Counts[i])
		if n > 0 && below+n >= rank {
			return lower + (upper-lower)*(rank-below)/n
		}
		below += n
		lower = upper
	}
	return lower
}
