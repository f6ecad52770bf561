// House counts two things that make a package hard to find one's way in, and fails where
// there is more of them than the floors of this file allow. Run it in the root of the
// repository:
//
//	go run ./internal/tools/house
//	go run ./internal/tools/house -v internal/front
//
// With -v it names each arrow that runs back up and each declaration of a name with too
// many meanings.
//
// # Arrows
//
// An arrow goes from file A to file B of the same package if code in A uses a name that B
// declares: a type, function, variable or constant of the package, a method, or a field.
// There is one arrow from A to B however many uses there are. Tests do not count, nor do
// names that are local to a function. A name is used where the type checker finds an
// identifier that refers to it, so a promoted field or method counts for the file that
// declares it, and a call through an interface for the file of the interface.
//
// The files of a package are put in that order from top to bottom in which as many arrows as
// possible point down. An arrow that does not is one that runs back up. To find the best
// order is hard in general; this program takes the best of several greedy orders, each
// improved by moving one file at a time until no move helps. It takes no chances: the same
// code gives the same order.
//
// # Names
//
// A name has as many meanings in a package as it has declarations there as a type, function,
// method, field or variable of the package, tests left out, with these exceptions:
//
//   - A method that implements an interface does not count: one of a type whose value or
//     pointer implements an interface that has the method, be that of the package itself or
//     exported by a package it depends on. The method in the interface counts.
//   - Fields with one name and one type are one meaning, such as all mu of type sync.Mutex.
//   - A field whose type has the field's name, and a method that takes nothing and returns
//     such a type, is no meaning of its own: queue *queue.
//   - Files for different systems declare the same thing; only those for the system that the
//     program runs on are read.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// A floor is what a package has to keep to.
type floor struct {
	backUp   int // the greatest share of arrows that may run back up, in per cent
	meanings int // the most meanings a name may have; 0: as many as it likes
}

// floors are by the directory of the package.
var floors = map[string]floor{
	"internal/dispatch": {backUp: 40, meanings: 3},
	"internal/front":    {backUp: 20, meanings: 3},
	"internal/master":   {backUp: 20},
}

// manyMeanings is what the table lists names above, where there is no floor.
const manyMeanings = 3

func main() {
	verbose := flag.Bool("v", false, "name what is counted")
	flag.Parse()
	patterns := flag.Args()
	if len(patterns) == 0 {
		patterns = []string{"internal/..."}
	}
	for i, p := range patterns {
		patterns[i] = "./" + strings.TrimPrefix(p, "./")
	}
	packages, err := load(patterns)
	if err != nil {
		fmt.Fprintln(os.Stderr, "house:", err)
		os.Exit(1)
	}
	if !report(os.Stdout, packages, *verbose) {
		os.Exit(1)
	}
}

// report prints the table and says whether all packages keep to their floors.
func report(w io.Writer, packages []*pkg, verbose bool) bool {
	ok := true
	fmt.Fprintf(w, "%-28s %6s %7s %8s %6s  %s\n", "package", "files", "arrows", "back up", "share", "names with more than 3 meanings")
	for _, p := range packages {
		g := p.arrows()
		order := g.order()
		back := g.backUp(order)
		names := p.names()
		limit, hasFloor := floors[p.dir]
		most := manyMeanings
		if limit.meanings > 0 {
			most = limit.meanings
		}
		var many []string
		for _, n := range names {
			if len(n.meanings) > most {
				many = append(many, fmt.Sprintf("%s %d", n.name, len(n.meanings)))
			}
		}
		share := percent(len(back), g.count())
		fmt.Fprintf(w, "%-28s %6d %7d %8d %5d%%  %s\n", p.dir, len(g.files), g.count(), len(back), share, shorten(many, verbose))
		if hasFloor && share > limit.backUp {
			ok = false
			fmt.Fprintf(w, "  FAIL %s: %d%% of the arrows run back up, %d%% may\n", p.dir, share, limit.backUp)
		}
		if limit.meanings > 0 && len(many) > 0 {
			ok = false
			fmt.Fprintf(w, "  FAIL %s: %d names have more than %d meanings\n", p.dir, len(many), limit.meanings)
		}
		if verbose {
			p.explain(w, g, order, back, names, most)
		}
	}
	return ok
}

// explain prints the order of the files, the arrows that run back up with the names that
// make them, and the declarations of names with more than most meanings.
func (p *pkg) explain(w io.Writer, g *graph, order []int, back [][2]int, names []name, most int) {
	fmt.Fprintln(w, "  order:")
	for _, i := range order {
		fmt.Fprintf(w, "    %s\n", g.files[i])
	}
	fmt.Fprintln(w, "  back up:")
	for _, arrow := range back {
		fmt.Fprintf(w, "    %s -> %s: %s\n", g.files[arrow[0]], g.files[arrow[1]], strings.Join(g.uses[arrow], " "))
	}
	fmt.Fprintln(w, "  names:")
	for _, n := range names {
		if len(n.meanings) > most {
			fmt.Fprintf(w, "    %s %d: %s\n", n.name, len(n.meanings), strings.Join(n.meanings, ", "))
		}
	}
}

// shorten writes a list that has to fit into a line.
func shorten(list []string, all bool) string {
	if n := len(list); !all && n > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:12], ", "), n-12)
	}
	return strings.Join(list, ", ")
}

// percent rounds up, so that a share above a floor never looks like one below it.
func percent(part, all int) int {
	if all == 0 {
		return 0
	}
	return (100*part + all - 1) / all
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
