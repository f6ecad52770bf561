package top

import (
	"fmt"
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"
)

// A binding is what a key does. The help is made of them.
type binding struct {
	keys []string
	name string // of the keys, in the help
	doc  string
	do   func(m *Model) tea.Cmd
}

// bindings are in the order of the help; those of actions ask first.
var bindings []binding

func init() { // since the help lists them
	bindings = []binding{
		{[]string{"up"}, "↑ ↓", "select a worker, or scroll", func(m *Model) tea.Cmd { return m.move(-1) }},
		{[]string{"down"}, "", "", func(m *Model) tea.Cmd { return m.move(1) }},
		{[]string{"pgup"}, "PgUp PgDn", "by a page", func(m *Model) tea.Cmd { return m.move(-m.body()) }},
		{[]string{"pgdown", "space"}, "", "", func(m *Model) tea.Cmd { return m.move(m.body()) }},
		{[]string{"home"}, "Home End", "first, last", func(m *Model) tea.Cmd { return m.move(-end) }},
		{[]string{"end"}, "", "", func(m *Model) tea.Cmd { return m.move(end) }},
		{[]string{"1"}, "1", "workers", turnTo(pageWorkers)},
		{[]string{"2"}, "2", "requests that run", turnTo(pageRequests)},
		{[]string{"3"}, "3", "last deaths", turnTo(pageDeaths)},
		{[]string{"4"}, "4", "last reloads, with what failed", turnTo(pageReload)},
		{[]string{"5"}, "5", "last slow requests, with their stacks", turnTo(pageSlow)},
		{[]string{"6"}, "6", "result of the last action", turnTo(pageResult)},
		{[]string{"7"}, "7", "self-care: scaling, recycling, canaries, templates", turnTo(pageSelfCare)},
		{[]string{"8"}, "8", "pools, with the calls that run", turnTo(pagePools)},
		{[]string{"tab"}, "Tab", "next of these", func(m *Model) tea.Cmd { m.turn(1); return nil }},
		{[]string{"shift+tab"}, "", "", func(m *Model) tea.Cmd { m.turn(-1); return nil }},
		{[]string{"enter"}, "Enter", "all about the selected worker", turnTo(pageWorker)},
		{[]string{"s"}, "s S", "sort by the next column, the other way", func(m *Model) tea.Cmd { m.sortNext(); return nil }},
		{[]string{"S"}, "", "", func(m *Model) tea.Cmd { m.backwards = !m.backwards; return nil }},
		{[]string{"r"}, "r", "reload configuration and code", asks("reload", "Reload")},
		{[]string{"+", "="}, "+ -", "more workers, fewer", func(m *Model) tea.Cmd { m.askScale(1); return nil }},
		{[]string{"-"}, "", "", func(m *Model) tea.Cmd { m.askScale(-1); return nil }},
		{[]string{"k"}, "k", "end the selected worker after its requests", func(m *Model) tea.Cmd { m.askKill(); return nil }},
		{[]string{"o"}, "o", "open the log files anew", asks("reopen", "Open the log files anew of")},
		{[]string{"u"}, "u", "upgrade: start the program on disk beside this server", asks("upgrade", "Start the new server beside")},
		{[]string{"d"}, "d", "drain: the old server's workers leave", asks("drain", "End the workers, in favour of the new server, of")},
		{[]string{"b"}, "b", "roll back: end the new server", asks("rollback", "End the new server, and go on with")},
		{[]string{"v"}, "v", "show the other server of an upgrade", func(m *Model) tea.Cmd { m.successor = !m.successor; return m.ask() }},
		{[]string{"?", "h"}, "?", "this help", turnTo(pageHelp)},
		{[]string{"esc"}, "Esc", "back; or wait no longer for an action", func(m *Model) tea.Cmd { m.back(); return nil }},
		{[]string{"ctrl+z"}, "Ctrl-Z", "to the shell, until fg", func(*Model) tea.Cmd { return tea.Suspend }},
		{[]string{"q", "ctrl+c"}, "q", "quit", func(*Model) tea.Cmd { return tea.Quit }},
	}
}

// key does what a key says.
func (m *Model) key(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	if m.question != nil && key != "ctrl+c" && key != "ctrl+z" {
		return m.reply(key)
	}
	for _, b := range bindings {
		if slices.Contains(b.keys, key) {
			return b.do(m)
		}
	}
	return nil
}

// reply takes a key as the answer to a question: y is yes, and all else no. A number of workers
// may still be changed.
func (m *Model) reply(key string) tea.Cmd {
	q := m.question
	switch {
	case q.scale > 0 && (key == "+" || key == "=" || key == "-"):
		m.askScale(map[bool]int{true: -1, false: 1}[key == "-"])
		return nil
	case key == "y" || key == "Y":
		m.question = nil
		return m.do(q)
	}
	m.question = nil
	return nil
}

func turnTo(p page) func(m *Model) tea.Cmd {
	return func(m *Model) tea.Cmd { m.show(p); return nil }
}

// turn shows the page after this one, or before it, of those that have numbers.
func (m *Model) turn(by int) {
	const numbered = int(pagePools) + 1
	m.show(page((min(int(m.page), numbered-1) + by + numbered) % numbered))
}

// back leaves a page, or an action to the server.
func (m *Model) back() {
	switch {
	case m.page != pageWorkers:
		m.show(pageWorkers)
	case m.action != nil:
		m.action.stop()
		m.notice, m.bad = m.action.text+": not waited for; the server goes on with it", false
		m.action = nil
	default:
		m.notice = ""
	}
}

// end is farther than any line.
const end = 1 << 30

// move selects another worker, or scrolls. What is beyond an end is the end.
func (m *Model) move(by int) tea.Cmd {
	if m.page != pageWorkers {
		last := max(len(m.pageLines())-m.body(), 0)
		if m.offset = min(m.offset, last) + by; by < end { // the end stays the end if there is more
			m.offset = min(max(m.offset, 0), last)
		}
		return nil
	}
	if rows := m.rows(); len(rows) > 0 {
		m.selected = rows[min(max(m.selectedRow(rows)+by, 0), len(rows)-1)].Age
	}
	return nil
}

// sortNext sorts by the next column that is on the screen.
func (m *Model) sortNext() {
	table := m.layout(m.rows(), m.width-markCells)
	next := table[0].index
	for _, c := range table {
		if c.index > m.sort {
			next = c.index
			break
		}
	}
	m.sort, m.backwards = next, false
}

// may reports whether an action can be asked for, and says why not.
func (m *Model) may() bool {
	switch {
	case m.action != nil:
		m.notice, m.bad = m.action.text+" is not done yet; Esc waits no longer", true
	case m.now == nil || m.trouble != "":
		m.notice, m.bad = "no server answers", true
	default:
		return true
	}
	return false
}

func asks(word, text string) func(m *Model) tea.Cmd {
	return func(m *Model) tea.Cmd {
		if m.may() {
			text := fmt.Sprintf("%s pid %d?", text, m.now.PID)
			m.question = &question{text: text, words: []string{word}}
		}
		return nil
	}
}

// askScale asks whether there should be more or fewer workers, than there are or than the
// question that is open says.
func (m *Model) askScale(by int) {
	if !m.may() {
		return
	}
	n := m.now.Target
	if q := m.question; q != nil {
		n = q.scale
	}
	n = max(n+by, 1)
	if r := m.now.Scale; r != nil {
		by := n - m.now.Target
		least := max(r.Least+by, min(1, r.Least))
		most := max(r.Most+by, least, 1)
		m.question = &question{
			text:  fmt.Sprintf("Have %d..%d workers instead of %d..%d?", least, most, r.Least, r.Most),
			words: []string{"scale", fmt.Sprintf("%d..%d", least, most)}, scale: n,
		}
		return
	}
	m.question = &question{
		text:  fmt.Sprintf("Have %d workers instead of %d?", n, m.now.Target),
		words: []string{"scale", strconv.Itoa(n)}, scale: n,
	}
}

// askKill asks whether the selected worker should end. The pid is the one that the question
// names, whatever becomes of the table meanwhile.
func (m *Model) askKill() {
	rows := m.rows()
	if !m.may() || len(rows) == 0 {
		return
	}
	w := rows[m.selectedRow(rows)]
	if w.PID == 0 {
		m.notice, m.bad = fmt.Sprintf("worker %d is not started yet", w.Age), true
		return
	}
	m.question = &question{
		text:  fmt.Sprintf("End worker %d (pid %d) after its requests?", w.Age, w.PID),
		words: []string{"worker", "kill", strconv.Itoa(w.PID)},
	}
}
