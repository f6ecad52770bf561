package wire

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const protocolFile = "../../docs/protocol.md"

var quoted = regexp.MustCompile("`([^`]+)`")

// section returns the text from the heading that begins so to the next one.
func section(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n"+heading)
	if !ok {
		t.Fatalf("%s has no section %q", protocolFile, heading)
	}
	text, _, _ := strings.Cut(rest, "\n#")
	return text
}

// says reports whether a section has a text, whatever lines that is on.
func says(t *testing.T, doc, heading, text string) bool {
	t.Helper()
	return strings.Contains(strings.Join(strings.Fields(section(t, doc, heading)), " "), text)
}

// rows returns the cells of the table rows in text, without heads and rules.
func rows(text string) (rows [][]string) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|-") {
			continue
		}
		var cells []string
		for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows
}

func quotedIn(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		found[m[1]] = true
	}
	return found
}

// jsonNames are the names of v's fields on the wire; nested has those of the
// structs in it and in its lists too.
func jsonNames(v any) (names, nested map[string]bool) {
	names, nested = map[string]bool{}, map[string]bool{}
	t := reflect.TypeOf(v)
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names[name], nested[name] = true, true
		if ft := field.Type; (ft.Kind() == reflect.Slice || ft.Kind() == reflect.Pointer) && ft.Elem().Kind() == reflect.Struct {
			_, inner := jsonNames(reflect.Zero(ft.Elem()).Interface())
			maps.Copy(nested, inner)
		}
	}
	delete(names, "type")
	delete(nested, "")
	return names, nested
}

// typeConstants are the values of the constants named Type… in control.go.
func typeConstants(t *testing.T) map[string]bool {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "control.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Type") {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[value] = true
		return true
	})
	return found
}

// docs/protocol.md and this package say the same.
func TestProtocolDocument(t *testing.T) {
	text, err := os.ReadFile(protocolFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	t.Run("control", func(t *testing.T) { checkControl(t, doc) })
	t.Run("kinds", func(t *testing.T) { checkKinds(t, doc) })
	t.Run("memory", func(t *testing.T) { checkMemory(t, doc) })
	t.Run("limits", func(t *testing.T) {
		if !says(t, doc, "## Control messages", fmt.Sprintf("at most %d KiB with at most %d descriptors", MaxMessage>>10, MaxDescriptors)) {
			t.Error("the limits of a control message differ")
		}
		if !says(t, doc, "### worker → master", fmt.Sprintf("at most %d KiB", MaxWorkerMessage>>10)) {
			t.Error("the limit of a worker's message differs")
		}
		if !says(t, doc, "## Slots: responses", fmt.Sprintf("at most %d KiB", MaxMessage>>10)) {
			t.Error("the limit of a response differs")
		}
	})
	t.Run("handover", func(t *testing.T) {
		example := regexp.MustCompile("`({.*})`").FindStringSubmatch(section(t, doc, "## Handover"))
		if example == nil {
			t.Fatal("no example")
		}
		d := json.NewDecoder(strings.NewReader(example[1]))
		d.DisallowUnknownFields()
		var h Handover
		if err := d.Decode(&h); err != nil {
			t.Fatal(err)
		}
		if out, _ := json.Marshal(h); string(out) != strings.ReplaceAll(strings.ReplaceAll(example[1], `": `, `":`), `, "`, `,"`) {
			t.Errorf("%s, in the code %s", example[1], out)
		}
	})
}

func checkControl(t *testing.T, doc string) {
	documented := map[string]bool{}
	for _, part := range []struct {
		heading string
		message any
		also    string // another section that names fields of this message
	}{
		{"### master → front", ToFront{}, ""},
		{"### front → master", FromFront{}, ""},
		{"### master → spawner", ToSpawner{}, ""},
		{"### spawner → master", FromSpawner{}, "### master → spawner"},
		{"### worker → master", FromWorker{}, "### master ↔ template"},
	} {
		text := section(t, doc, part.heading)
		names, nested := jsonNames(part.message)
		for _, row := range rows(text) {
			for name := range quotedIn(row[0]) {
				documented[name] = true
			}
			for name := range quotedIn(row[1]) {
				if !nested[name] {
					t.Errorf("%s: %s has the field %s, %T has not", part.heading, row[0], name, part.message)
				}
			}
		}
		if part.also != "" {
			text += section(t, doc, part.also)
		}
		said := quotedIn(text)
		for name := range names {
			if !said[name] {
				t.Errorf("%s: %T has the field %s, the document has not", part.heading, part.message, name)
			}
		}
	}
	for _, row := range rows(section(t, doc, "### master ↔ template")) {
		for name := range quotedIn(row[0]) {
			documented[name] = true
		}
	}
	constants := typeConstants(t)
	if !maps.Equal(documented, constants) {
		t.Errorf("types in the document: %q\nconstants: %q", slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(constants)))
	}
	for _, accept := range []string{AcceptEmpty, AcceptStop} {
		if !quotedIn(doc)[accept] {
			t.Errorf("the document does not have the value %s of accept", accept)
		}
	}
}

func checkKinds(t *testing.T, doc string) {
	table := slices.Concat(rows(section(t, doc, "## Slots: responses")), rows(section(t, doc, "### Worker → front")))
	known := 0
	for i := range replyKinds {
		if ReplyKind(i).known() {
			known++
		}
	}
	if len(table) != known {
		t.Errorf("%d kinds in the document, %d in the code", len(table), known)
	}
	for _, row := range table {
		n, items := shapeOf(t, row)
		kind := ReplyKind(n)
		if want := fmt.Sprintf("%d `%v`", n, kind); row[0] != want {
			t.Errorf("%s, in the code %s", row[0], want)
		} else if items != replyKinds[n].items {
			t.Errorf("%v has %d items, in the code %d", kind, items, replyKinds[n].items)
		}
	}
	for i, row := range rows(section(t, doc, "### Front → worker")) {
		n, items := shapeOf(t, row)
		if want := fmt.Sprintf("%d `%v`", i, Event(i)); n != i || row[0] != want || items != 4 {
			t.Errorf("%s with %d items, in the code %s with 4", row[0], items, want)
		}
	}
}

// shapeOf reads the kind of a message and the number of its items off a row.
func shapeOf(t *testing.T, row []string) (kind, items int) {
	t.Helper()
	shape := strings.Split(strings.Trim(quoted.FindStringSubmatch(row[1])[1], "()"), ", ")
	kind, err := strconv.Atoi(shape[0])
	if err != nil {
		t.Fatalf("%q has no kind", row)
	}
	return kind, len(shape)
}

func checkMemory(t *testing.T, doc string) {
	column := func(heading string) (words []string) {
		for _, row := range rows(section(t, doc, heading)) {
			words = append(words, row[0])
		}
		return words
	}
	slot := func(word int) string { return fmt.Sprintf("%d + %d·*i*", scoreboardFirst+word, scoreboardStride) }
	board := []string{slot(scoreboardToken), slot(scoreboardClaimed), slot(scoreboardGone), slot(scoreboardDeadline), slot(scoreboardJournaled), slot(scoreboardBuffer), slot(scoreboardThread), slot(scoreboardArena)}
	board = slices.Insert(board, 0, fmt.Sprint(scoreboardTurn))
	board = slices.Insert(board, 0, fmt.Sprintf("%d–%d", scoreboardRevocationRing, scoreboardRevocationRing+MaxRevoked-1))
	for _, word := range []int{scoreboardRevocations, scoreboardEnd, scoreboardReloaded, scoreboardMostLag, scoreboardLag, scoreboardPing, scoreboardFront, scoreboardPromoted} {
		board = slices.Insert(board, 0, fmt.Sprint(word))
	}
	if got := column("### Scoreboard"); !slices.Equal(got, board) {
		t.Errorf("scoreboard: words %q, in the code %q", got, board)
	}
	for _, want := range []string{
		fmt.Sprintf("%d MiB", arenaSegments*SegmentBlocks*ArenaBlock>>20), fmt.Sprintf("%d blocks", SegmentBlocks),
		fmt.Sprintf("%d bytes", pageSize), fmt.Sprintf("blocks of %d KiB", ArenaBlock>>10),
	} {
		if !says(t, doc, "### Body arena", want) {
			t.Errorf("body arena: %q in the code", want)
		}
	}
}
