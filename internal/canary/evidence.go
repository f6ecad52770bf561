package canary

import "math"

const (
	// tolerated is how many times as often a new generation may fail, or how many times
	// as long it may take, without being worse.
	tolerated = factor
	// ratios is how many alternatives the evidence is averaged over: 2, 4 … 2^ratios times
	// as many failures as tolerated.
	ratios = 10
)

// Evidence is how much speaks for a new generation that fails more often than tolerated, if it
// got a share of the requests, and x of its requests and y of the old generation's have failed:
// the mean of likelihood ratios, see the package comment. 1 is none.
func Evidence(x, y int, share float64) float64 {
	q0 := tolerated * share / (tolerated*share + 1 - share)
	if !(q0 > 0 && q0 < 1) {
		return 1
	}
	sum := 0.0
	for i := 1; i <= ratios; i++ {
		rho := math.Exp2(float64(i))
		q := rho * q0 / (rho*q0 + 1 - q0)
		sum += math.Exp(float64(x)*math.Log(q/q0) + float64(y)*math.Log((1-q)/(1-q0)))
	}
	return sum / ratios
}

const (
	// floor is the latency below which all are equal.
	floorBucket = 29 // up to 5.03 ms
	// slack is by how many buckets the latencies of the new generation are moved down: by
	// tolerated.
	slack = perFactor
	// farSlack is the same for a verdict before the end: by 1.5⁴.
	farSlack = 4 * perFactor
)

// folded returns the counts with times moved down by so many buckets, those up to the bucket floor
// together in that one, and how many there are.
func (h Histogram) folded(down, floor int) (counts [maxBuckets]float64, total float64) {
	for i, n := range h {
		counts[max(floor, i-down)] += float64(n)
		total += float64(n)
	}
	return counts, total
}

// slower returns the statistic of Mann and Whitney's test, a standard normal deviate if the
// latencies of both have one distribution, for whether those of the new generation, moved down
// by so many buckets, are larger. effect is how often one of them is larger than one of the old
// generation's, of two that are equal half; 0.5 is none.
func slower(latest, old Histogram, down int) (z, effect float64) {
	a, m := latest.folded(down, floorBucket)
	b, n := old.folded(0, floorBucket)
	if m == 0 || n == 0 {
		return 0, 0.5
	}
	all := m + n
	u, below, ties := 0.0, 0.0, 0.0
	for i := range a {
		u += a[i] * (below + b[i]/2)
		below += b[i]
		t := a[i] + b[i]
		ties += t*t*t - t
	}
	variance := m * n / 12 * (all + 1 - ties/(all*max(all-1, 1)))
	if variance <= 0 {
		return 0, 0.5
	}
	return (u - m*n/2 - 0.5) / math.Sqrt(variance), u / (m * n)
}
