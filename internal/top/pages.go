package top

import (
	"fmt"
	"strings"
	"time"

	"indrik/internal/status"
)

// pageLines are the lines of a page, except for the table of workers, which has a selection.
func (m *Model) pageLines() []string {
	switch {
	case m.page == pageWorkers:
		return nil
	case m.page == pageHelp:
		return m.help()
	case m.page == pageResult:
		return m.orNone(m.result, "There was no action.")
	case m.now == nil:
		return nil
	}
	switch m.page {
	case pageRequests:
		if shown := m.allRequests(); len(shown) > 0 {
			return shown
		}
		return m.orNone("", "No request runs.")
	case pageDeaths:
		return m.deaths()
	case pageReload:
		return m.reloads()
	case pageSlow:
		return m.slow()
	case pageSelfCare:
		return m.orNone(strings.TrimRight(m.now.SelfCare(), "\n"), "The number of workers is fixed, none is to be replaced, and nothing is tried.")
	case pagePools:
		text := ""
		if m.now.Front != nil {
			text = strings.TrimRight(m.now.Front.PoolsText(), "\n")
		}
		return m.orNone(text, "There are no pools.")
	default:
		return m.worker()
	}
}

func (m *Model) orNone(text, none string) []string {
	if text == "" {
		text = none
	}
	return lines(text, m.width)
}

func (m *Model) help() []string {
	widest := 0
	for _, b := range bindings {
		widest = max(widest, len([]rune(b.name)))
	}
	var all []string
	for _, b := range bindings {
		if b.name != "" {
			all = append(all, fit(pad(b.name, widest, true)+"  "+b.doc, m.width))
		}
	}
	return all
}

// allRequests are a line for each request that runs, the longest first, and one for those that
// the status does not list.
func (m *Model) allRequests() []string {
	shown := m.requests(runningOf(m.now))
	if m.now.Front != nil && m.now.Front.Unlisted > 0 {
		shown = append(shown, fit(fmt.Sprintf("and %d more", m.now.Front.Unlisted), m.width))
	}
	return shown
}

func (m *Model) requests(all []running) []string {
	shown := make([]string, 0, len(all))
	for _, r := range all {
		line := fmt.Sprintf("%s  %7d  %s", pad(status.Duration(r.Seconds), 7, false), r.pid, status.PrintableLine(r.Method+" "+r.Path))
		if r.Client != "" {
			line += "  for " + status.PrintableLine(r.Client)
		}
		if r.RequestID != "" {
			line += "  request " + status.PrintableLine(r.RequestID)
		}
		shown = append(shown, fit(line, m.width))
	}
	return shown
}

func (m *Model) deaths() []string {
	var shown []string
	for _, d := range m.now.Deaths {
		shown = append(shown, lines(deathText(d, time.DateTime), m.width)...)
		for _, r := range d.Running {
			shown = append(shown, fit(fmt.Sprintf("    it ran %s for %s", status.PrintableLine(r.Method+" "+r.Path), status.Duration(r.Seconds)), m.width))
		}
	}
	if len(shown) == 0 {
		return m.orNone("", "No worker has died.")
	}
	return shown
}

// reloads are the last one with all that it has to say, and those before it.
func (m *Model) reloads() []string {
	if m.now.LastReload == nil {
		return m.orNone("", "There was no reload.")
	}
	shown := lines(reloadText(m.now.LastReload, time.DateTime)+"\n"+m.now.LastReload.Reason, m.width)
	for _, r := range m.now.LastReloads {
		if !r.At.Equal(m.now.LastReload.At) {
			shown = append(shown, "")
			shown = append(shown, lines(reloadText(&r, time.DateTime)+"\n"+r.Reason, m.width)...)
		}
	}
	return shown
}

// slow are the requests that the setting slow_request_log has found.
func (m *Model) slow() []string {
	var shown []string
	for _, r := range m.now.Slow {
		shown = append(shown, lines(fmt.Sprintf("%s %s %s  %s in the app, %s in the queue  worker (pid %d)", r.At.Format(time.DateTime),
			status.PrintableLine(r.Method), status.PrintableLine(r.Path), status.Duration(r.Ran), status.Duration(r.Waited), r.PID), m.width)...)
		for _, call := range r.Stack {
			shown = append(shown, lines("    "+status.PrintableLine(call), m.width)...)
		}
	}
	if len(shown) == 0 {
		return m.orNone("", "No slow request is known. The setting slow_request_log looks for them.")
	}
	return shown
}

// worker is all about the selected worker.
func (m *Model) worker() []string {
	rows := m.rows()
	if len(rows) == 0 {
		return m.orNone("", "There is no worker.")
	}
	r := rows[m.selectedRow(rows)]
	var shown []string
	for _, c := range columns[:len(columns)-1] {
		shown = append(shown, fit(pad(c.title, 10, true)+c.text(r), m.width))
	}
	shown = append(shown, fit(pad("CPU", 10, true)+fmt.Sprintf("%.1f s", r.CPU), m.width), "")
	var own []running
	for _, one := range runningOf(m.now) {
		if one.age == r.Age {
			own = append(own, one)
		}
	}
	return append(shown, m.requests(own)...)
}
