package top

import (
	"context"
	"errors"
	"fmt"
	"time"

	"indrik/internal/status"

	tea "charm.land/bubbletea/v2"
)

// A Server is the server that is shown. Its methods are called from several goroutines.
type Server interface {
	// Status returns the status now, that of the successor in an upgrade if it is asked for.
	// It finds the server anew if that has ended or has moved its socket.
	Status(ctx context.Context, successor bool) (*status.Status, error)
	// Do carries out a sub-command of indrik, and returns what came of it. The error of a
	// reload has the traceback.
	Do(ctx context.Context, successor bool, words ...string) (string, error)
}

// A page is what the middle of the screen shows.
type page int

const (
	pageWorkers page = iota
	pageRequests
	pageDeaths
	pageReload // the last ones
	pageSlow
	pageResult // of an action
	pageSelfCare
	pagePools
	pageWorker // the selected one
	pageHelp
)

// A Model is the state of the view. It implements [tea.Model].
type Model struct {
	server   Server
	interval time.Duration

	width, height int
	clock         time.Time // of the last tick

	now       *status.Status // the last one; nil before the first
	rates     rates
	since     time.Time // when now came
	trouble   string    // why there is no status; empty: there is
	asking    bool      // for a status
	asked     time.Time // when
	successor bool      // is shown, and not the server

	page      page
	offset    int // the first line that is shown of a page without a selection
	selected  int // the age of a worker; 0: the first of the table
	sort      int // index among columns
	backwards bool

	question *question
	action   *action
	notice   string // what came of the last action, or happened to the server
	bad      bool   // the notice is of a failure
	result   string // of the last action, in full
}

// A question waits for the operator's word.
type question struct {
	text  string
	words []string
	scale int // to so many workers, if it is not 0
}

// An action is being carried out.
type action struct {
	text  string
	since time.Time
	stop  context.CancelFunc
}

type (
	tickMsg   time.Time
	statusMsg struct {
		status    *status.Status
		err       error
		at        time.Time
		successor bool
	}
	resultMsg struct {
		action *action
		text   string
		err    error
	}
)

// NewModel returns a view that asks the server for its status at an interval.
func NewModel(server Server, interval time.Duration) *Model {
	return &Model{server: server, interval: interval, width: 80, height: 24, clock: time.Now()}
}

// Init implements [tea.Model].
func (m *Model) Init() tea.Cmd { return tea.Batch(m.ask(), m.tick()) }

func (m *Model) tick() tea.Cmd {
	return tea.Tick(m.interval, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// statusTimeout is how long a server may take for its status. One that does not answer is
// asked anew, by another connection.
const statusTimeout = 10 * time.Second

// ask asks for a status, unless that has been done and is not answered.
func (m *Model) ask() tea.Cmd {
	if m.asking {
		return nil
	}
	m.asking, m.asked = true, m.clock
	server, successor := m.server, m.successor
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), statusTimeout)
		defer cancel()
		s, err := server.Status(ctx, successor)
		return statusMsg{s, err, time.Now(), successor}
	}
}

// Update implements [tea.Model].
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tickMsg:
		m.clock = time.Time(msg)
		return m, tea.Batch(m.ask(), m.tick())
	case statusMsg:
		return m, m.took(msg)
	case resultMsg:
		return m, m.done(msg)
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// took shows a status, or why there is none.
func (m *Model) took(msg statusMsg) tea.Cmd {
	m.asking = false
	m.clock = msg.at
	if msg.successor != m.successor {
		return m.ask() // the other one has been asked for since
	}
	if msg.err != nil {
		if m.successor { // it is the master now, or has ended
			m.successor = false
			return m.ask()
		}
		m.trouble = status.PrintableLine(msg.err.Error())
		if errors.Is(msg.err, context.DeadlineExceeded) {
			m.trouble = fmt.Sprintf("the server has not answered for %s", statusTimeout)
		}
		return nil
	}
	before := m.now
	m.now, m.since, m.trouble = msg.status, msg.at, ""
	if before != nil && !sameServer(before, m.now) {
		m.notice, m.bad = fmt.Sprintf("another server answers: pid %d, before it %d", m.now.PID, before.PID), false
		m.selected = 0
	}
	m.rates = ratesOf(before, m.now)
	return nil
}

// do carries out what a question asked for.
func (m *Model) do(q *question) tea.Cmd {
	ctx, cancel := context.WithCancel(context.Background())
	a := &action{text: q.words[0], since: m.clock, stop: cancel}
	m.action, m.notice, m.result = a, "", ""
	server, successor, words := m.server, m.successor, q.words
	return func() tea.Msg {
		defer cancel()
		text, err := server.Do(ctx, successor, words...)
		return resultMsg{a, text, err}
	}
}

// done tells what came of an action. A failure that takes more than a line, such as a
// traceback, is shown as a whole.
func (m *Model) done(msg resultMsg) tea.Cmd {
	if msg.action != m.action {
		return nil // nobody waits for it any more
	}
	m.action = nil
	m.result, m.bad = msg.text, msg.err != nil
	if m.bad {
		m.result = msg.action.text + ": " + msg.err.Error()
	}
	all := lines(m.result, m.width)
	m.notice = all[0]
	if m.bad && len(all) > 1 {
		m.show(pageResult)
	}
	return m.ask()
}

// show turns to a page.
func (m *Model) show(p page) { m.page, m.offset = p, 0 }

// selectedRow returns the index of the selected worker in the table, 0 if it has gone.
func (m *Model) selectedRow(rows []row) int {
	for i, r := range rows {
		if r.Age == m.selected {
			return i
		}
	}
	return 0
}
