package top

import (
	"fmt"
	"strings"
	"time"

	"indrik/internal/status"

	tea "charm.land/bubbletea/v2"
)

// markCells are the cells before a worker, for the mark of the one that is selected.
const markCells = 2

// How tall a terminal has to be for more than the least about the server.
const (
	tall    = 14
	tallest = 20
)

// View implements [tea.Model].
func (m *Model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	return v
}

// screen is what is seen: about the server, a page, what happens, the keys. It never has more
// lines than the terminal, and none that is longer.
func (m *Model) screen() string {
	all := m.header()
	body := m.pageLines()
	if m.page == pageWorkers {
		all = append(all, m.workers(m.body())...)
	} else {
		from := min(m.offset, max(len(body)-m.body(), 0))
		all = append(all, styled(reverse, pad(m.pageTitle(from, len(body)), m.width, true)))
		all = append(all, body[from:min(from+m.body(), len(body))]...)
	}
	for len(all) < m.height-2 {
		all = append(all, "")
	}
	all = append(all[:max(min(len(all), m.height-2), 0)], m.message(), m.keyLine())
	return strings.Join(all[:min(len(all), m.height)], "\n")
}

// body is how many lines a page has, below its title.
func (m *Model) body() int { return max(m.height-len(m.header())-3, 1) }

// header is what is always seen of the server.
func (m *Model) header() []string {
	s := m.now
	if s == nil {
		return []string{styled(bold, fit("indrik top", m.width))}
	}
	var role string
	switch {
	case s.Role != "master":
		role = "the new server of an upgrade"
	case s.Successor != 0:
		role = fmt.Sprintf("new server: pid %d (v)", s.Successor)
	}
	stale := ""
	if m.trouble != "" {
		stale = "as of " + status.Age(m.clock.Sub(m.since).Seconds()) + " ago"
	}
	title := joined([]string{
		status.PrintableLine(s.State), stale, status.PrintableLine(s.App), fmt.Sprintf("pid %d", s.PID), role,
		fmt.Sprintf("gen %d", s.Generation), "up " + status.Age(s.Uptime), "indrik " + status.PrintableLine(s.Version),
	}, m.width)
	workers := fmt.Sprintf("%d/%d workers", ready(s), s.Target)
	if r := s.Scale; r != nil {
		workers += fmt.Sprintf(" of %d..%d", r.Least, r.Most)
	}
	load := []string{perSecond(m.rates.requests, m.rates.known) + " req/s", workers}
	failing := perSecond(m.rates.errors, m.rates.known) + " errors/s"
	if s.Front == nil {
		return m.rest([]string{styled(bold, title), joined(append(load, "the front does not answer"), m.width)})
	}
	q, c := s.Front.Queue, s.Front.Connections
	queue := fmt.Sprintf("queue %d", q.Length)
	if m.height < tall {
		return []string{styled(bold, title), joined(append(load, queue, fmt.Sprintf("%d conns", c.Total), failing, fmt.Sprintf("refused %d", q.Refused)), m.width)}
	}
	oldest := ""
	if q.Length > 0 {
		oldest = "oldest " + status.Duration(q.Oldest)
	}
	return m.rest([]string{
		styled(bold, title),
		joined(append(load, failing, fmt.Sprintf("%d running", len(runningOf(s))+s.Front.Unlisted)), m.width),
		joined([]string{
			queue, oldest, "wait p50 " + status.Duration(q.WaitP50), "p99 " + status.Duration(q.WaitP99),
			fmt.Sprintf("refused %d", q.Refused), perSecond(m.rates.refused, m.rates.known) + " refused/s",
		}, m.width),
		joined(connections(c), m.width),
	})
}

// rest adds what there is room for in a tall terminal.
func (m *Model) rest(header []string) []string {
	if m.height < tallest {
		return header
	}
	s := m.now
	var listening []string
	for _, l := range s.Listeners {
		listening = append(listening, status.PrintableLine(l.Address))
	}
	if len(listening) > 0 {
		header = append(header, joined([]string{"listening at " + listening[0], strings.Join(listening[1:], "  ")}, m.width))
	}
	header = append(header, m.care()...)
	if r := s.LastReload; r != nil {
		header = append(header, fit("reload "+reloadText(r, time.TimeOnly), m.width))
	}
	if len(s.Deaths) > 0 {
		header = append(header, fit("death "+deathText(s.Deaths[0], time.TimeOnly), m.width))
	}
	return append(header, "")
}

// care is what is under way of a canary, and what there is of templates, quarantines and pools.
func (m *Model) care() (shown []string) {
	s := m.now
	if c := s.Canary; c != nil {
		side := func(what string, side *status.CanarySide) string {
			return fmt.Sprintf("%s %d, %d failed, p99 %s", what, side.Requests, side.Failed, status.Duration(side.P99))
		}
		shown = append(shown, joined([]string{
			fmt.Sprintf("canary %.3g %%, %s of %s", 100*c.Share, status.Duration(c.Elapsed), status.Duration(c.Window)), side("new", &c.New), side("old", &c.Old),
		}, m.width))
	}
	var parts []string
	if t := s.Template; t != nil {
		parts = append(parts, fmt.Sprintf("template pid %d has forked %d", t.PID, t.Forked))
	}
	if s.Front != nil {
		if n := len(s.Front.Quarantine); n > 0 {
			parts = append(parts, fmt.Sprintf("quarantines %d", n))
		}
		for i := range s.Front.Pools {
			p := &s.Front.Pools[i]
			busy, slots := p.Busy()
			parts = append(parts, fmt.Sprintf("pool %s %d/%d busy, %d waiting", status.PrintableLine(p.Name), busy, slots, p.Waiting))
		}
	}
	if len(parts) > 0 {
		shown = append(shown, joined(parts, m.width))
	}
	return shown
}

func ready(s *status.Status) int {
	n := 0
	for _, w := range s.Workers {
		if w.State == "ready" {
			n++
		}
	}
	return n
}

func connections(c status.Connections) []string {
	parts := []string{fmt.Sprintf("connections %d", c.Total)}
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.Idle, "idle"}, {c.Running, "running"}, {c.Reading, "reading"}, {c.Writing, "writing"}, {c.Handshake, "handshake"},
		{c.WebSocket, "websocket"}, {c.HTTP2, "http2"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", part.what, part.n))
		}
	}
	return parts
}

func reloadText(r *status.Reload, form string) string {
	what := "succeeded"
	if !r.OK {
		what = "failed"
	}
	return fmt.Sprintf("%s at %s, after %s", what, r.At.Format(form), status.Duration(r.Seconds))
}

func deathText(d status.Death, form string) string {
	return fmt.Sprintf("%s worker %d (pid %d) %s", d.At.Format(form), d.Age, d.PID, status.PrintableLine(d.Reason))
}

// minRequests is how many lines have to be free for the requests below the workers.
const minRequests = 3

// workers is the table of the workers, with its head and so many lines, and below it what runs
// if there is room.
func (m *Model) workers(room int) []string {
	rows := m.rows()
	table := m.layout(rows, m.width-markCells)
	all := []string{styled(reverse, pad("  "+m.tableHead(table), m.width, true))}
	chosen := m.selectedRow(rows)
	first := max(0, min(chosen-room/2, len(rows)-room))
	for i, r := range rows[first:min(first+room, len(rows))] {
		mark, style := "  ", map[string]string{"booting": yellow, "leaving": faint}[r.State]
		if first+i == chosen {
			mark, style = "> ", bold
		}
		all = append(all, styled(style, fit(mark+tableLine(table, r), m.width)))
	}
	if free := room - len(rows); m.now != nil && free >= 2+minRequests {
		if requests := m.allRequests(); len(requests) > 0 {
			all = append(all, "", styled(reverse, pad("  "+pageTitles[pageRequests], m.width, true)))
			all = append(all, requests[:min(len(requests), free-2)]...)
		}
	}
	return all
}

var pageTitles = map[page]string{
	pageRequests: "REQUESTS THAT RUN", pageDeaths: "LAST DEATHS", pageReload: "LAST RELOADS", pageSlow: "LAST SLOW REQUESTS", pageWorker: "WORKER",
	pageResult: "RESULT OF THE LAST ACTION", pageSelfCare: "SELF-CARE", pagePools: "POOLS", pageHelp: "KEYS",
}

// pageTitle names a page of lines, and says what part of it is seen.
func (m *Model) pageTitle(from, all int) string {
	title := pageTitles[m.page]
	if all > m.body() {
		return fmt.Sprintf("%s  %d-%d of %d", title, from+1, min(from+m.body(), all), all)
	}
	return title
}

// message is the line of what is asked, done or wrong.
func (m *Model) message() string {
	switch {
	case m.question != nil:
		return styled(bold+reverse, fit("y/n "+m.question.text, m.width))
	case m.action != nil:
		return styled(bold, fit(fmt.Sprintf("%s … %s", m.action.text, status.Age(max(m.clock.Sub(m.action.since).Seconds(), 0))), m.width))
	case m.notice != "" && m.bad:
		return styled(red, fit(m.notice, m.width))
	case m.notice != "" && m.trouble == "":
		return fit(m.notice, m.width)
	case m.trouble != "":
		return styled(red, fit(m.trouble, m.width))
	case m.asking && m.clock.Sub(m.asked) >= 2*time.Second+m.interval:
		return styled(yellow, fit("no answer for "+status.Age(m.clock.Sub(m.asked).Seconds()), m.width))
	case m.now == nil:
		return fit("asking the server", m.width)
	}
	return ""
}

// keyLine names the keys that matter most, as many as have room.
func (m *Model) keyLine() string {
	keys := []string{"q quit", "? help", "r reload", "k kill", "+/- scale", "s sort", "Tab page", "o reopen", "u upgrade", "d drain", "b roll back"}
	switch {
	case m.question != nil && m.question.scale > 0:
		keys = []string{"y yes", "n no", "+/- more, fewer"}
	case m.question != nil:
		keys = []string{"y yes", "n no"}
	case m.page != pageWorkers:
		keys = []string{"q quit", "? help", "Esc back", "↑↓ scroll", "Tab page"}
	}
	return styled(faint, joined(keys, m.width))
}
