package master

import (
	"errors"
	"fmt"
	"strings"

	"indrik/internal/settings"
)

// This file has the commands that change the number of workers.

func (m *Master) workerAdd(r *commandRun) { m.workerChange(r, "added", 1) }

func (m *Master) workerRemove(r *commandRun) { m.workerChange(r, "removed", -1) }

// workerChange changes the number of workers as TTIN and TTOU do.
func (m *Master) workerChange(r *commandRun, verb string, sign int) {
	n, err := r.number("")
	if err != nil {
		r.answer(nil, err)
		return
	}
	before := m.pool.target
	if err := m.addWorkers(sign * n); err != nil {
		r.answer(nil, err)
		return
	}
	r.answer(map[string]any{verb: sign * (m.pool.target - before), "previous": before, "total": m.pool.target}, nil)
}

// maxWorkers is how many workers a command may ask for, so that a slip of the hand does not
// fill the machine. The setting has no such bound.
const maxWorkers = 10_000

// mayScale returns why there cannot be n workers now, nil if there can.
func (m *Master) mayScale(n int) error {
	if n > maxWorkers {
		return fmt.Errorf("Invalid argument: %d workers are more than %d", n, maxWorkers)
	}
	if !m.isServing() && m.state != booting {
		return m.notNow("the number of workers is not changed")
	}
	return nil
}

// addWorkers makes so many workers more, or fewer, as TTIN and TTOU do.
func (m *Master) addWorkers(by int) error {
	n := max(1, m.pool.target+by)
	if err := m.mayScale(n); err != nil {
		return err
	}
	m.scale.shift(by)
	m.resize(n)
	return nil
}

// resize changes the number of workers.
func (m *Master) resize(n int) {
	if m.candidate != nil {
		m.candidate.change += n - m.pool.target
	}
	m.setTarget(n)
	m.balance()
	m.lookAgain()
}

// scaleCommand changes the number of workers as the argument of a command says, and returns what it
// is then. Where the load decides, that is within the range that the argument is: N is N..N.
func (m *Master) scaleCommand(r *commandRun) (n int, err error) {
	least, most := 0, 0
	if len(r.args) > 0 && strings.Contains(r.args[0], "..") {
		bounds, err := settings.ParseWorkerRange(r.args[0])
		switch {
		case err != nil:
			return 0, fmt.Errorf("Invalid argument: %w", err)
		case bounds.MostAuto:
			return 0, fmt.Errorf("Invalid argument: %q: say how many workers there are at most", r.args[0])
		case !m.scale.on:
			return 0, errors.New("The number of workers does not follow the load: the setting workers is no range")
		}
		least, most = bounds.Least, bounds.Most
		n = bounds.Clamp(m.pool.target)
	} else {
		if n, err = r.number("Missing number of workers"); err != nil {
			return 0, err
		}
		least, most = n, n
	}
	if err := m.mayScale(most); err != nil {
		return 0, err
	}
	if m.scale.on {
		m.scale.set(least, most)
	}
	m.resize(n)
	return n, nil
}

func (m *Master) scaleAndWait(r *commandRun) {
	n, err := m.scaleCommand(r)
	if err != nil {
		r.answer(nil, err)
		return
	}
	m.await(r, func() (any, error, bool) {
		switch {
		case !m.isServing() && m.state != booting:
			return nil, m.notNow("it has not come to " + plural(n, "worker")), true
		case m.scale.on:
			n = m.pool.target // the load may have changed it
		case m.pool.target != n && m.candidate == nil:
			return nil, fmt.Errorf("The number of workers has been set to %d meanwhile", m.pool.target), true
		}
		if len(m.pool.workers) != n || m.candidate != nil {
			return nil, nil, false
		}
		for _, w := range m.pool.workers {
			if !w.ready || w.leaving {
				return nil, nil, false
			}
		}
		return map[string]any{"workers": n}, nil, true
	})
}
