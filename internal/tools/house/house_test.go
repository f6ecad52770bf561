package main

import (
	"fmt"
	"go/importer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a package of files, each after a line with its name.
func source(t *testing.T, text string) *pkg {
	t.Helper()
	files := map[string]any{}
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "\n-- "), "\n-- ") {
		name, body, _ := strings.Cut(part, "\n")
		files[name] = "package p\n" + body
	}
	p, err := parse(token.NewFileSet(), "p", "p", files, importer.Default())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func arrowsOf(g *graph) []string {
	var list []string
	for arrow, names := range g.uses {
		list = append(list, fmt.Sprintf("%s->%s %s", g.files[arrow[0]], g.files[arrow[1]], strings.Join(names, " ")))
	}
	slices.Sort(list)
	return list
}

func TestArrows(t *testing.T) {
	g := source(t, `
-- a.go
func top() { s := share{}; s.set(1); var i reader = &s; i.read(); _ = list[int]{}.first() }
-- b.go
type share struct{ deep }
func (s *share) read() { s.value = 2; bottom() }
type reader interface{ read() }
type list[T any] []T
func (l list[T]) first() T { return l[0] }
-- c.go
type deep struct{ value int }
func (d *deep) set(n int) { d.value = n }
func bottom() { local := 1; _ = func() int { return local } }
`).arrows()
	want := []string{"a.go->b.go first list read reader share", "a.go->c.go set", "b.go->c.go bottom deep value"}
	if got := arrowsOf(g); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if back := g.backUp(g.order()); len(back) != 0 {
		t.Errorf("%v run back up", back)
	}
}

// A circle of three has one arrow back up wherever it begins, whatever hangs on it.
func TestOrderOfACircle(t *testing.T) {
	g := source(t, `
-- a.go
func a() { b() }
-- b.go
func b() { c(); e() }
-- c.go
func c() { a() }
-- d.go
func d() { a(); b(); c() }
-- e.go
func e() {}
`).arrows()
	order := g.order()
	if back := g.backUp(order); g.count() != 7 || len(back) != 1 {
		t.Errorf("%d arrows, back up %v", g.count(), back)
	}
	if g.files[order[0]] != "d.go" || slices.Index(order, 4) < slices.Index(order, 1) {
		t.Errorf("order %v", order)
	}
	if again := g.order(); !slices.Equal(order, again) {
		t.Errorf("%v, then %v", order, again)
	}
}

// The order is the best one: all orders of seven files were tried.
func TestOrderIsTheBest(t *testing.T) {
	const n = 7
	for seed := range 20 {
		g := &graph{files: make([]string, n), arrow: make([][]bool, n), uses: map[[2]int][]string{}}
		bits := uint64(seed+1) * 0x9e3779b97f4a7c15
		for from := range n {
			g.arrow[from] = make([]bool, n)
			for to := range n {
				if bits = bits*6364136223846793005 + 1442695040888963407; from != to && bits>>62 == 0 {
					g.arrow[from][to], g.uses[[2]int{from, to}] = true, nil
				}
			}
		}
		least := g.count()
		permute(n, func(order []int) { least = min(least, len(g.backUp(order))) })
		if got := len(g.backUp(g.order())); got != least {
			t.Errorf("seed %d: %d arrows back up, %d in the best order", seed, got, least)
		}
	}
}

func permute(n int, visit func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var step func(int)
	step = func(k int) {
		if k == n {
			visit(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			step(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	step(0)
}

func TestNames(t *testing.T) {
	p := source(t, `
-- a.go
type sender interface{ send(int) }
type conn struct{ mu lock; send int }
func (c *conn) end() {}
type slot struct{ mu lock; queue *queue }
func (s slot) send(int) {}
func (s slot) end() {}
type queue struct{ mu lock; send string }
func (q queue) send2() { type inner struct{ send bool }; var send inner; _ = send }
var end = func() { end := 1; _ = end }
-- b.go
type lock struct{}
type post struct{}
func (p *post) send() {}
func (p *post) conn() *conn { return nil }
func send3() {}
`)
	got := map[string]int{}
	for _, n := range p.names() {
		if len(n.meanings) > 1 {
			got[n.name] = len(n.meanings)
		}
	}
	// send: the interface's, two fields, and post's method, which takes no number and so
	// implements nothing; end: two methods and a variable.
	if want := (map[string]int{"send": 4, "end": 3}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReportFailsAboveTheFloors(t *testing.T) {
	p := source(t, "\n-- a.go\nfunc a() { b() }\ntype x struct{ v int }\n-- b.go\nfunc b() { a() }\ntype y struct{ v bool }\n"+
		"type z struct{ v string }\ntype q struct { v byte }\n")
	for dir, want := range map[string]string{
		"internal/front": "FAIL internal/front: 50% of the arrows run back up, 20% may\n  FAIL internal/front: 1 names have more than 3 meanings", "internal/other": "",
	} {
		var b strings.Builder
		p.dir = dir
		if ok := report(&b, []*pkg{p}, false); ok != (want == "") || !strings.Contains(b.String(), want) || !strings.Contains(b.String(), "v 4") {
			t.Errorf("%s: %v\n%s", dir, ok, b.String())
		}
	}
}

// The packages that have a floor are there.
func TestFloorsAreOfPackages(t *testing.T) {
	for dir := range floors {
		if _, err := os.Stat(filepath.Join("../../..", dir)); err != nil {
			t.Error(err)
		}
	}
}
