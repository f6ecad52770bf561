package main

import (
	"go/types"
	"math/rand/v2"
	"slices"
)

// A graph is the files of a package and the arrows between them.
type graph struct {
	files []string            // sorted
	arrow [][]bool            // from, to
	uses  map[[2]int][]string // the names that make an arrow, sorted
}

// arrows returns the graph of the package.
func (p *pkg) arrows() *graph {
	g := &graph{uses: map[[2]int][]string{}}
	for _, f := range p.files {
		g.files = append(g.files, p.file(f.Pos()))
	}
	slices.Sort(g.files)
	g.arrow = make([][]bool, len(g.files))
	index := map[string]int{}
	for i, name := range g.files {
		g.arrow[i], index[name] = make([]bool, len(g.files)), i
	}
	for ident, obj := range p.info.Uses {
		if obj = origin(obj); !p.declared(obj) {
			continue
		}
		from, to := index[p.file(ident.Pos())], index[p.file(obj.Pos())]
		if from == to {
			continue
		}
		g.arrow[from][to] = true
		if pair := [2]int{from, to}; !slices.Contains(g.uses[pair], obj.Name()) {
			g.uses[pair] = append(g.uses[pair], obj.Name())
		}
	}
	for _, names := range g.uses {
		slices.Sort(names)
	}
	return g
}

// origin returns what was declared in the source in place of its instance for a type
// argument.
func origin(obj types.Object) types.Object {
	switch obj := obj.(type) {
	case *types.Var:
		return obj.Origin()
	case *types.Func:
		return obj.Origin()
	}
	return obj
}

// count returns the number of arrows.
func (g *graph) count() int { return len(g.uses) }

// backUp returns the arrows that run against the order, sorted.
func (g *graph) backUp(order []int) [][2]int {
	place := make([]int, len(order))
	for at, file := range order {
		place[file] = at
	}
	var back [][2]int
	for from := range g.files {
		for to := range g.files {
			if g.arrow[from][to] && place[from] > place[to] {
				back = append(back, [2]int{from, to})
			}
		}
	}
	return back
}

// shakes is how often order tries to better its best order. The share of the largest
// package does not change by a per cent with ten times as many.
const shakes = 2000

// order returns the files in the order that most arrows make, as near as it finds it: from
// a greedy order, a few files are moved by chance, and the rest is improved again. The
// chance is the same each time.
func (g *graph) order() []int {
	best := g.greedy()
	g.improve(best)
	least := len(g.backUp(best))
	chance := rand.New(rand.NewPCG(1, 2))
	for range shakes {
		order := slices.Clone(best)
		for range min(3, len(order)) {
			from, to := chance.IntN(len(order)), chance.IntN(len(order))
			move(order, from, to)
		}
		g.improve(order)
		if n := len(g.backUp(order)); n <= least {
			best, least = order, n
		}
	}
	return best
}

// move moves the file at one place to another.
func move(order []int, from, to int) {
	file := order[from]
	if from < to {
		copy(order[from:to], order[from+1:to+1])
	} else {
		copy(order[to+1:from+1], order[to:from])
	}
	order[to] = file
}

// greedy returns the order of Eades, Lin and Smyth: files that nothing uses go to the top,
// files that use nothing to the bottom, and of the rest again and again the one that uses
// the most files more than it is used by goes to the top.
func (g *graph) greedy() []int {
	left := make([]bool, len(g.files))
	for i := range left {
		left[i] = true
	}
	var top, bottom []int
	for range g.files {
		chosen, best, atBottom := -1, 0, false
		for file := range g.files {
			if !left[file] {
				continue
			}
			in, out := 0, 0
			for other := range g.files {
				if left[other] && g.arrow[other][file] {
					in++
				}
				if left[other] && g.arrow[file][other] {
					out++
				}
			}
			if out == 0 {
				chosen, atBottom = file, true
				break
			}
			if in == 0 {
				chosen = file
				break
			}
			if chosen < 0 || out-in > best {
				chosen, best = file, out-in
			}
		}
		left[chosen] = false
		if atBottom {
			bottom = append(bottom, chosen)
		} else {
			top = append(top, chosen)
		}
	}
	slices.Reverse(bottom)
	return append(top, bottom...)
}

// improve moves one file at a time to where fewest arrows run back up, until no move helps.
func (g *graph) improve(order []int) {
	for changed := true; changed; {
		changed = false
		for at := range order {
			to, gain := at, 0
			for _, step := range []int{-1, 1} {
				change := 0
				for i := at + step; i >= 0 && i < len(order); i += step {
					above, below := order[i], order[at]
					if step > 0 {
						above, below = below, above
					}
					// The two change places: arrows down become arrows up.
					if g.arrow[above][below] {
						change--
					}
					if g.arrow[below][above] {
						change++
					}
					if change > gain {
						to, gain = i, change
					}
				}
			}
			if gain > 0 {
				move(order, at, to)
				changed = true
			}
		}
	}
}
