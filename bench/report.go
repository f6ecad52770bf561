package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"indrik/bench/stats"
)

// What makes a row suspect.
const (
	maxSpread = 0.20
	maxOthers = 0.15
)

// report is what a file in results holds.
type report struct {
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Absent   map[string]string `json:"absent,omitempty"`
	Options  map[string]string `json:"options"`
	Commands map[string]string `json:"commands"`
	Order    []string          `json:"servers"`
	Runs     []*run            `json:"runs"`
	Rows     []row             `json:"rows"`
	// Incomplete says why not everything was measured.
	Incomplete string `json:"incomplete,omitempty"`
}

// row is a server's runs of one workload, summed up.
type row struct {
	Workload  string                   `json:"workload"`
	Peer      string                   `json:"server"`
	Rounds    int                      `json:"rounds"`
	PerSecond stats.Summary            `json:"requests_per_second"`
	Ratio     float64                  `json:"ratio_to_anchor"` // 0: unknown
	ServerCPU stats.Summary            `json:"server_cpu_microseconds_per_request"`
	OwnCPU    stats.Summary            `json:"own_cpu_microseconds_per_request"` // less that of the app in a loop; 0: unknown
	Millis    map[string]stats.Summary `json:"milliseconds"`
	Longest   stats.Summary            `json:"longest_wait_milliseconds"`
	Lost      []int                    `json:"failed_requests"` // by round
	Starved   int                      `json:"starved_clients"` // in the worst round
	// Unended: it does not call close(), where the app has work to do there.
	Unended bool                     `json:"unended,omitempty"`
	Values  map[string]stats.Summary `json:"values,omitempty"`
	// Findings are those of run, and that of the reload.
	Findings map[string]string `json:"findings,omitempty"`
	// Notes are what a reader should know of a figure, Marks why not to trust it.
	Notes []string `json:"notes,omitempty"`
	Marks []string `json:"marks,omitempty"`
}

func newReport(o options, e *environment, peers []peer) *report {
	r := &report{
		Machine: describeMachine(o.Indrik), Versions: e.versions, Absent: e.absent,
		Options: map[string]string{
			"rounds": fmt.Sprint(o.Rounds), "warm": o.Warm.String(), "duration": o.Measure.String(), "workers": fmt.Sprint(workers),
			"python": o.Python,
		},
		Commands: make(map[string]string),
	}
	for _, p := range peers {
		r.Order = append(r.Order, p.Name)
		r.Commands[p.Name] = e.commandLine(&p, o.Dir)
	}
	return r
}

// commandLine shows how a server is started, without the directories of this
// machine.
func (e *environment) commandLine(p *peer, dir string) string {
	app := "hello"
	if p.Interface == asgi {
		app = "hello_asgi"
	}
	config := &setup{Bind: exampleAddress, App: app, Workers: workers, Threads: threads, Dir: dir}
	args := p.command(e, config)
	if p.Needs == "nginx" {
		args = append([]string{"nginx -c nginx.conf &"}, args[6:]...)
	}
	line := strings.Join(args, " ")
	for _, directory := range []string{e.bin + "/", strings.TrimSuffix(e.indrik, "indrik"), dir + "/"} {
		line = strings.ReplaceAll(line, directory, "")
	}
	return line
}

// finish sums up the runs; err is why there are no more of them.
func (r *report) finish(err error) {
	if err != nil {
		r.Incomplete = err.Error()
	}
	r.Rows = nil
	for i := range allWorkloads {
		w := &allWorkloads[i]
		for _, name := range r.Order {
			runs := r.find(w.Name, name)
			if len(runs) == 0 {
				continue
			}
			one := summarize(runs, w)
			r.complete(&one, w)
			r.Rows = append(r.Rows, one)
		}
	}
}

// complete adds to a row what follows from other runs.
func (r *report) complete(one *row, w *workload) {
	found := r.findings(one.Peer)
	switch {
	case w.Name == "checks":
		one.Findings = found
	case w.Ends && found[checkClose] != "":
		one.Unended = true
		one.Marks = append(one.Marks, "does not call close(), which is a part of the work")
	}
	if anchored := summarize(r.find(w.Name, anchorOf(one.Peer)), w); anchored.PerSecond.Median > 0 {
		one.Ratio = one.PerSecond.Median / anchored.PerSecond.Median
	}
	if loop := summarize(r.find(w.Name, alone), w).ServerCPU; loop.Median > 0 && one.Rounds > 0 && one.Peer != alone {
		all := one.ServerCPU
		one.OwnCPU = stats.Summary{Median: all.Median - loop.Median, Min: all.Min - loop.Median, Max: all.Max - loop.Median}
	}
	if busy := one.Values[valueBusy]; busy.Median > 0 {
		one.Notes = append(one.Notes, fmt.Sprintf("by itself, which is what counts; %.1f µs while the other processor does the same", busy.Median))
	}
	if fails := failing(found); len(fails) > 0 && w.Goal && w.Name != "checks" {
		one.Notes = append(one.Notes, "fails: "+strings.Join(fails, ", "))
	}
}

// findings returns what the checks have found of a server, nil if it was not checked. "" is a
// check that it passes.
func (r *report) findings(name string) map[string]string {
	var found map[string]string
	for _, one := range r.find("checks", name) {
		if one.Failure == "" {
			found = maps.Clone(one.Findings)
		}
	}
	if found == nil {
		return nil
	}
	reload := r.find("reload", name)
	if p := peerOf(name); p != nil && !p.can(reloads) {
		found[checkReload] = "it has none"
	} else if len(reload) > 0 {
		found[checkReload] = reloadFinding(reload)
	}
	return found
}

// reloadFinding says what went wrong in reloads.
func reloadFinding(runs []*run) string {
	lost := 0
	for _, one := range runs {
		lost += one.Failed
		if one.Failure != "" {
			return one.Failure
		}
		if _, reloaded := one.Values[valueFresh]; !reloaded {
			return "no new process answers"
		}
	}
	if lost > 0 {
		return fmt.Sprintf("loses %s in %s", counting(lost, "request"), counting(len(runs), "reload"))
	}
	return ""
}

// failing returns the names of the checks that a server does not pass.
func failing(found map[string]string) []string {
	var names []string
	for _, name := range allChecks {
		if found[name] != "" {
			names = append(names, name)
		}
	}
	return names
}

// survives reports whether a server was found to lose nothing in a reload.
func (r *report) survives(name string) bool {
	p := peerOf(name)
	runs := r.find("reload", name)
	return p != nil && p.can(reloads) && len(runs) > 0 && reloadFinding(runs) == ""
}

// dagger marks a server that does not pass all checks.
func (r *report) dagger(name string) string {
	if len(failing(r.findings(name))) > 0 {
		return "†"
	}
	return ""
}

// anchorOf is the server that a server's ratio is to.
func anchorOf(name string) string {
	if p := peerOf(name); p != nil {
		return anchors[p.Interface]
	}
	return anchors[wsgi]
}

func (r *report) find(workload, peer string) []*run {
	var found []*run
	for _, one := range r.Runs {
		if one.Workload == workload && one.Peer == peer {
			found = append(found, one)
		}
	}
	return found
}

// row finds a row, nil if it was not measured.
func (r *report) row(workload, peer string) *row {
	for i := range r.Rows {
		if one := &r.Rows[i]; one.Workload == workload && one.Peer == peer && one.Rounds > 0 {
			return one
		}
	}
	return nil
}

// summarize makes a row of the runs of one server.
func summarize(runs []*run, w *workload) row {
	var one row
	var perSecond, cpu, longest, others []float64
	byName, values := make(map[string][]float64), make(map[string][]float64)
	lost, starved, answers, connections := 0, 0, 0, 0
	firstError := ""
	for _, r := range runs {
		one.Workload, one.Peer = r.Workload, r.Peer
		if r.Failure != "" {
			one.Marks = append(one.Marks, fmt.Sprintf("round %d failed: %s", r.Round, r.Failure))
			continue
		}
		one.Rounds++
		perSecond, cpu = append(perSecond, r.PerSecond), append(cpu, r.ServerCPU)
		longest, others = append(longest, r.MaxMillis), append(others, r.OthersCPU)
		for name, ms := range r.Millis {
			byName[name] = append(byName[name], ms)
		}
		for name, value := range r.Values {
			values[name] = append(values[name], value)
		}
		one.Lost = append(one.Lost, r.Failed)
		lost, starved = lost+r.Failed, max(starved, r.Starved)
		answers, connections = answers+r.Answers, connections+r.Connections
		if firstError == "" {
			firstError = r.FirstError
		}
		if r.Trouble != "" {
			one.Marks = append(one.Marks, fmt.Sprintf("round %d: %s", r.Round, r.Trouble))
		}
	}
	one.PerSecond, one.ServerCPU, one.Longest = stats.Summarize(perSecond), stats.Summarize(cpu), stats.Summarize(longest)
	one.Millis, one.Values = summaries(byName), summaries(values)
	if len(w.Groups) > 0 && !w.Groups[0].OneShot && w.Name != "reload" && 2*connections > answers && answers > 0 {
		one.Notes = append(one.Notes, "does not keep connections")
	}
	if lost > 0 {
		one.Marks = append(one.Marks, fmt.Sprintf("%d errors (first: %s)", lost, firstError))
	}
	one.Starved = starved
	if starved > 0 {
		one.Marks = append(one.Marks, fmt.Sprintf("%d of %d clients got no answer while it was measured", starved, runs[0].Clients))
	}
	if s := one.PerSecond.Spread(); s > maxSpread {
		one.Marks = append(one.Marks, fmt.Sprintf("spread %.0f %%", 100*s))
	}
	for _, name := range slices.Sorted(maps.Keys(one.Values)) {
		if s := one.Values[name].Spread(); s > maxSpread && name != valueOld {
			one.Marks = append(one.Marks, fmt.Sprintf("spread of %s %.0f %%", strings.ReplaceAll(name, "_", " "), 100*s))
		}
	}
	if o := stats.Summarize(others); o.Max > maxOthers {
		one.Marks = append(one.Marks, fmt.Sprintf("others used up to %.0f %% of the machine", 100*o.Max))
	}
	return one
}

func summaries(values map[string][]float64) map[string]stats.Summary {
	m := make(map[string]stats.Summary)
	for name, list := range values {
		m[name] = stats.Summarize(list)
	}
	return m
}

// save replaces path at once: a reader finds the old report or the new one.
func (r *report) save(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return replace(path, append(text, '\n'))
}

func replace(path string, text []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return os.Rename(temporary, path)
}

// readReport reads what save has written.
func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	r := new(report)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// readReports joins reports of the same day and machine.
func readReports(paths []string) (*report, error) {
	r, err := readReport(paths[0])
	if err != nil {
		return nil, err
	}
	for _, path := range paths[1:] {
		more, err := readReport(path)
		if err != nil {
			return nil, err
		}
		have := make(map[string]bool)
		for _, one := range r.Runs {
			have[one.Workload] = true
		}
		for _, one := range more.Runs {
			if !have[one.Workload] {
				r.Runs = append(r.Runs, one)
			}
		}
	}
	r.Rows = nil
	r.finish(nil)
	return r, nil
}
