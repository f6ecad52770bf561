package main

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// module is what precedes the names of this tree's packages.
const module = "indrik/"

// A block is a piece of code that runs as a whole.
type block struct {
	file       string // from the root of the tree
	from, to   int    // lines
	span       string // lines and columns, as the profile has them
	statements int
	ran        bool
}

// read takes the blocks from a profile, ordered by place. One that several binaries have
// is there more than once; it ran if it did in any of them.
func read(r io.Reader) ([]block, error) {
	blocks := map[string]block{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		if strings.HasPrefix(line, "mode: ") {
			continue
		}
		name, rest, ok := strings.Cut(line, ":")
		var b block
		var from, to, count int
		if n, _ := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.from, &from, &b.to, &to, &b.statements, &count); n != 6 || !ok {
			return nil, fmt.Errorf("bad line %q", line)
		}
		b.file = strings.TrimPrefix(name, module)
		b.span, _, _ = strings.Cut(rest, " ")
		key := b.file + ":" + b.span
		b.ran = count > 0 || blocks[key].ran
		blocks[key] = b
	}
	return slices.SortedFunc(maps.Values(blocks), func(a, b block) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.from, b.from), strings.Compare(a.span, b.span))
	}), s.Err()
}

// report writes the figures of all packages. The error is that one is below its floor.
func report(w io.Writer, blocks []block, floors floors) error {
	all, ran := map[string]int{}, map[string]int{}
	for _, b := range blocks {
		for _, name := range []string{path.Dir(b.file), "all"} {
			all[name] += b.statements
			if b.ran {
				ran[name] += b.statements
			}
		}
	}
	percent := func(name string) float64 { return 100 * float64(ran[name]) / float64(max(1, all[name])) }
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != "all" {
			fmt.Fprintf(w, "%-24s %6d of %6d statements  %5.1f %%\n", name, ran[name], all[name], percent(name))
		}
	}
	fmt.Fprintf(w, "%-24s %6d of %6d statements  %5.1f %%\n", "all", ran["all"], all["all"], percent("all"))
	var low []string
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		if percent(name) < floors[name] {
			low = append(low, fmt.Sprintf("%s has %.1f %%, not %g %%", name, percent(name), floors[name]))
		}
	}
	if low != nil {
		return fmt.Errorf("%s", strings.Join(low, "; "))
	}
	return nil
}

// list writes the blocks that did not run to a file.
func list(to string, blocks []block) error {
	var out strings.Builder
	var source *text
	for _, b := range blocks {
		if b.ran || b.statements == 0 {
			continue
		}
		if source == nil || source.path != b.file {
			var err error
			if source, err = parse(b.file); err != nil {
				return err
			}
		}
		fmt.Fprintf(&out, "%s:%d-%d\t%s\t%d\t%s\n", b.file, b.from, b.to, source.function(b.from), b.statements, source.first(b))
	}
	return os.WriteFile(to, []byte(out.String()), 0o644)
}

// A text is a file of Go.
type text struct {
	path  string
	lines []string
	set   *token.FileSet
	file  *ast.File
}

func parse(path string) (*text, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &text{path: path, lines: strings.Split(string(src), "\n"), set: token.NewFileSet()}
	t.file, err = parser.ParseFile(t.set, path, src, parser.SkipObjectResolution)
	return t, err
}

// function is the name of the function at a line.
func (t *text) function(line int) string {
	for _, d := range t.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && t.set.Position(f.Pos()).Line <= line && line <= t.set.Position(f.End()).Line {
			return f.Name.Name
		}
	}
	return "-"
}

// first is the first line of a block that says anything.
func (t *text) first(b block) string {
	line := b.from
	if strings.HasSuffix(t.lines[line-1], "{") && line < b.to {
		line++
	}
	return strings.TrimSpace(t.lines[line-1])
}
