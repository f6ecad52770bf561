package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"indrik/internal/canary"
	"indrik/internal/status"
)

// A command is one of the control socket: Gunicorn's, and those of `indrik NAME`, which are
// answered only when it is known what came of them.
type command struct {
	words string // that it begins with
	args  string // for help
	doc   string
	do    func(m *Master, r *commandRun)
}

// onlyShows reports whether the command changes nothing.
func (c *command) onlyShows() bool {
	first, _, _ := strings.Cut(c.words, " ")
	return first == "show" || first == "help" || first == "status" || first == "trace"
}

// A commandRun is a command that is being carried out.
type commandRun struct {
	ctx    context.Context
	args   []string
	answer func(data any, err error) // called once
}

// commands are in the order of help. Those that end in "and wait" are answered when they are
// done.
var commands []command

func init() { // since help lists them
	commands = []command{
		{"show all", "", "Show all processes", (*Master).showAll},
		{"show workers", "", "List HTTP workers with their status", (*Master).showWorkers},
		{"show dirty", "", "List dirty workers and apps", (*Master).showDirty},
		{"show config", "", "Show current effective configuration", (*Master).showConfig},
		{"show stats", "", "Show server statistics", (*Master).showStats},
		{"show listeners", "", "Show bound sockets", (*Master).showListeners},
		{"worker add", "[N]", "Spawn N workers (default 1)", (*Master).workerAdd},
		{"worker remove", "[N]", "Remove N workers (default 1)", (*Master).workerRemove},
		{"worker kill and wait", "<PID>", "Gracefully terminate a worker, and wait for its end", (*Master).workerKillAndWait},
		{"worker kill", "<PID>", "Gracefully terminate specific worker", (*Master).workerKill},
		{"dirty add", "[N]", "Spawn N dirty workers (default 1)", (*Master).dirtyAdd},
		{"dirty remove", "[N]", "Remove N dirty workers (default 1)", (*Master).dirtyRemove},
		{"reload and wait", "[canary [SHARE for TIME]]", "Reload, and wait until the new workers serve, or have been tried and sent back", (*Master).reloadAndWait},
		{"reload", "", "Graceful reload (HUP)", signalled(syscall.SIGHUP, map[string]any{"status": "reloading"})},
		{"reopen", "", "Reopen log files (USR1)", signalled(syscall.SIGUSR1, map[string]any{"status": "reopening"})},
		{"shutdown", "[graceful|quick]", "Shutdown server (TERM/INT)", (*Master).shutdownCommand},
		{"status", "", "Show everything as one document", (*Master).showStatus},
		{"refork and wait", "", "Have the warmest worker fork all others anew, and wait until they serve", (*Master).reforkAndWait},
		{"trace slow", "<SECONDS>", "Show the stacks of workers that have run a request for so long", (*Master).traceSlow},
		{"trace", "[PID]", "Show the stacks of a worker, or of all", (*Master).traceCommand},
		{"scale and wait", "<N>", "Have N workers, or MIN..MAX, and wait until they serve", (*Master).scaleAndWait},
		{"upgrade and wait", "", "Start the binary on disk beside this one (USR2), and wait until it serves", (*Master).upgradeAndWait},
		{"rollback and wait", "", "End the successor of an upgrade, and wait until this server serves alone", (*Master).rollbackAndWait},
		{"drain and wait", "", "End the workers in favour of the successor (WINCH), and wait until they have", (*Master).drainAndWait},
		{"help", "", "Show this help message", (*Master).helpCommand},
	}
}

// A commander is who gives commands, for the log.
type commander struct{ way, who string }

// command carries out one command.
func (m *Master) command(ctx context.Context, by commander, words []string, answer func(any, error)) {
	for _, c := range commands {
		name := strings.Fields(c.words)
		if len(words) < len(name) || !slices.EqualFunc(words[:len(name)], name, strings.EqualFold) {
			continue
		}
		args := words[len(name):]
		if most := len(strings.Fields(c.args)); len(args) > most {
			answer(nil, fmt.Errorf("Invalid argument: %q is one too many for %s", args[most], c.words))
			return
		}
		if !c.onlyShows() {
			m.log.Infof("%s: %s (%s)", by.way, strings.Join(words, " "), by.who)
		}
		c.do(m, &commandRun{ctx, args, answer})
		return
	}
	answer(nil, unknownCommand(words))
}

// unknownCommand has Gunicorn's words.
func unknownCommand(words []string) error {
	switch group := strings.ToLower(words[0]); {
	case group == "show" && len(words) == 1:
		return errors.New("Invalid argument: Missing show target (all|workers|dirty|config|stats|listeners)")
	case group == "show":
		return fmt.Errorf("Invalid argument: Unknown show target: %s", strings.ToLower(words[1]))
	case group == "worker" && len(words) == 1:
		return errors.New("Invalid argument: Missing worker action (add|remove|kill)")
	case group == "worker":
		return fmt.Errorf("Invalid argument: Unknown worker action: %s", strings.ToLower(words[1]))
	case group == "dirty" && len(words) == 1:
		return errors.New("Invalid argument: Missing dirty action (add|remove)")
	case group == "dirty":
		return fmt.Errorf("Invalid argument: Unknown dirty action: %s", strings.ToLower(words[1]))
	}
	return fmt.Errorf("Invalid argument: Unknown command: %s", strings.ToLower(words[0]))
}

// number returns the only argument of a command as a number from 1 on. Without one it is 1, or what
// is missing is an error.
func (r *commandRun) number(missing string) (int, error) {
	if len(r.args) == 0 {
		if missing != "" {
			return 0, errors.New("Invalid argument: " + missing)
		}
		return 1, nil
	}
	n, err := strconv.Atoi(r.args[0])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("Invalid argument: %q is not a number from 1 on", r.args[0])
	}
	return n, nil
}

// await answers the command once over says that it is done. It is asked after each event of
// the loop.
func (m *Master) await(r *commandRun, over func() (any, error, bool)) {
	m.control.waits = append(m.control.waits, &wait{r.ctx, over, r.answer})
}

// signalled returns a command that does what a signal does, and is answered at once.
func signalled(sig syscall.Signal, data any) func(*Master, *commandRun) {
	return func(m *Master, r *commandRun) {
		m.handle(sig)
		r.answer(data, nil)
	}
}

func (m *Master) helpCommand(r *commandRun) {
	list := map[string]string{}
	for _, c := range commands {
		list[strings.TrimSpace(c.words+" "+c.args)] = c.doc
	}
	r.answer(map[string]any{"commands": list}, nil)
}

// isServing reports whether the server is neither starting nor ending, nor paused.
func (m *Master) isServing() bool {
	return m.state == running || m.state == reloading || m.state == judging
}

// notNow is the error of a command that the state does not allow.
func (m *Master) notNow(what string) error {
	return fmt.Errorf("The server is %s: %s", m.state, what)
}

// workerWithPid returns a worker by the argument of a command.
func (m *Master) workerWithPid(r *commandRun) (*worker, error) {
	pid, err := r.number("Missing PID for worker kill")
	if err != nil {
		return nil, err
	}
	for _, w := range m.pool.workers {
		if w.pid == pid {
			return w, nil
		}
	}
	return nil, fmt.Errorf("Worker %d not found", pid)
}

// workerKill ends a worker as SIGTERM does: it finishes the requests it has.
func (m *Master) workerKill(r *commandRun) {
	w, err := m.workerWithPid(r)
	if err == nil {
		err = w.proc.Signal(syscall.SIGTERM)
	}
	if err != nil {
		r.answer(map[string]any{"success": false, "error": err.Error()}, nil)
		return
	}
	r.answer(map[string]any{"success": true, "killed": w.pid}, nil)
}

func (m *Master) workerKillAndWait(r *commandRun) {
	w, err := m.workerWithPid(r)
	if err == nil {
		err = w.proc.Signal(syscall.SIGTERM)
	}
	if err != nil {
		r.answer(nil, err)
		return
	}
	pid, target := w.pid, m.pool.target
	m.await(r, func() (any, error, bool) {
		if m.pool.has(w) {
			return nil, nil, false
		}
		// The one in its place serves, too, unless there is to be none.
		return map[string]any{"killed": pid}, nil, m.pool.countServing() >= min(target, m.want())
	})
}

func (m *Master) shutdownCommand(r *commandRun) {
	mode, sig := "graceful", syscall.SIGTERM
	if len(r.args) > 0 {
		mode = r.args[0]
	}
	switch mode {
	case "graceful":
	case "quick":
		sig = syscall.SIGINT
	default:
		r.answer(nil, fmt.Errorf("Invalid argument: %q is neither graceful nor quick", mode))
		return
	}
	// The answer goes out before the socket is closed.
	r.answer(map[string]any{"status": "shutting_down", "mode": mode}, nil)
	m.after(shutdownAfter, func() { m.handle(sig) })
}

// shutdownAfter is for the answer to a shutdown to go out.
const shutdownAfter = 20 * time.Millisecond

func (m *Master) reloadAndWait(r *commandRun) {
	if !m.isServing() && m.state != paused {
		r.answer(nil, m.notNow("it cannot be reloaded"))
		return
	}
	asked, err := canaryAsked(r.args)
	if err != nil {
		r.answer(nil, err)
		return
	}
	before := m.reloadsEnded()
	m.handle(syscall.SIGHUP)
	if m.candidate != nil {
		m.candidate.asked = asked
	}
	m.await(r, func() (any, error, bool) {
		switch {
		case m.candidate != nil || m.reloadsEnded() == before && m.state == reloading:
			return nil, nil, false
		case m.reloadsEnded() > before && !m.control.history.lastReload.OK:
			return nil, errors.New("Reload failed, nothing was changed: the workers that were there go on.\n" + m.control.history.lastReload.Reason), true
		case m.state != running:
			return nil, m.notNow("the reload was given up"), true
		}
		r := m.control.history.lastReload
		return map[string]any{"generation": m.gen.number, "workers": m.pool.target, "seconds": r.Seconds, "canary": r.Canary}, nil, true
	})
}

// canaryAsked returns the plan of a trial that the arguments of a reload ask for, nil if they
// do not: "canary", or "canary" and a plan such as "5% for 60s".
func canaryAsked(args []string) (*canary.Plan, error) {
	switch {
	case len(args) == 0:
		return nil, nil
	case args[0] != "canary":
		return nil, fmt.Errorf("Invalid argument: %q is not canary", args[0])
	case len(args) == 1:
		return &canary.Plan{}, nil
	}
	text := strings.Join(args[1:], " ")
	plan, err := canary.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("Invalid argument: %q: %w", text, err)
	}
	return &plan, nil
}

// reloaded records what came of the reload that c was made for.
func (m *Master) reloaded(c *candidate, f *failure) {
	r := &status.Reload{At: m.now(), OK: f == nil, Seconds: m.now().Sub(c.begun).Seconds()}
	if c.trial != nil && f == nil {
		r.Canary = c.trial.verdict
	}
	if f != nil {
		r.Reason = strings.TrimSpace(f.Error() + "\n" + f.report)
		m.control.history.failedReloads++
	} else {
		m.control.history.reloads++
	}
	h := &m.control.history
	h.lastReload = r
	kept := *r
	kept.Reason = kept.Reason[max(0, len(kept.Reason)-maxReason):]
	h.lastReloads = append([]status.Reload{kept}, h.lastReloads[:min(len(h.lastReloads), maxReloads-1)]...)
}

func (m *Master) reloadsEnded() int {
	return m.control.history.reloads + m.control.history.failedReloads
}

func (m *Master) upgradeAndWait(r *commandRun) {
	switch {
	case !m.isServing() && m.state != paused:
		r.answer(nil, m.notNow("it cannot be upgraded"))
		return
	case m.upgrader.successor != nil:
		r.answer(nil, fmt.Errorf("An upgrade is under way: the successor has pid %d", m.upgrader.successor.pid))
		return
	case m.upgrader.predecessor != nil:
		r.answer(nil, fmt.Errorf("An upgrade is under way: the server before this one, with pid %d, has not ended", m.upgrader.predecessor.pid))
		return
	}
	m.upgrader.failure = ""
	m.handle(syscall.SIGUSR2)
	begun, deadline := false, m.now().Add(upgradeStart)
	var tried *link
	m.await(r, func() (any, error, bool) {
		if m.upgrader.successor != nil {
			tried = m.upgrader.successor
		}
		switch {
		case m.upgrader.trial != nil:
			begun = true
		case m.upgrader.failure != "" && begun:
			return nil, errors.New("Upgrade failed, nothing was changed: " + m.upgrader.failure), true
		case m.upgrader.successor != nil && m.upgrader.successor.isReady:
			return map[string]any{"successor": m.upgrader.successor.pid}, nil, true
		case m.upgrader.successor != nil:
			begun = true
		case m.upgrader.failure != "":
			return nil, errors.New("Upgrade failed, nothing was changed: " + m.upgrader.failure), true
		case begun && (tried == nil || tried.isOver) || m.now().After(deadline):
			return nil, errors.New("Upgrade failed, nothing was changed: the log says why"), true
		}
		return nil, nil, false
	})
	m.after(upgradeStart, func() {}) // the loop looks again
}

// upgradeStart is how long the hook pre_exec may take, as far as a command waits for it.
const upgradeStart = time.Minute

func (m *Master) rollbackAndWait(r *commandRun) {
	l := m.upgrader.successor
	if l == nil {
		r.answer(nil, errors.New("There is no upgrade to roll back: no successor is alive"))
		return
	}
	if m.state == paused {
		m.handle(syscall.SIGHUP)
	}
	if err := m.endSuccessor(l); err != nil {
		r.answer(nil, err)
		return
	}
	m.await(r, func() (any, error, bool) {
		switch {
		case m.state == draining || m.state == quitting:
			return nil, m.notNow("the rollback was given up"), true
		case m.upgrader.successor == l || m.state != running:
			return nil, nil, false
		}
		return map[string]any{"workers": m.pool.target}, nil, true
	})
}

func (m *Master) drainAndWait(r *commandRun) {
	if m.state == paused && m.upgrader.successor != nil && len(m.pool.workers) == 0 {
		r.answer(map[string]any{"workers": 0}, nil) // after a trial they have left already
		return
	}
	if !m.isServing() {
		r.answer(nil, m.notNow("there are no workers to end"))
		return
	}
	if m.upgrader.successor == nil && !m.cfg.Daemon() {
		r.answer(nil, errors.New("There is no successor to take over, and the server is no daemon: use stop"))
		return
	}
	m.handle(syscall.SIGWINCH)
	m.await(r, func() (any, error, bool) {
		switch {
		case m.upgrader.pauseLater || m.upgrader.pausing || m.state == paused && len(m.pool.workers) > 0:
			return nil, nil, false
		case m.state != paused:
			return nil, m.notNow("the workers stay"), true
		}
		return map[string]any{"workers": 0}, nil, true
	})
}
