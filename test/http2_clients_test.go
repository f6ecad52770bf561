//go:build linux

package test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// A programLoad is a program that makes requests again and again, and what became of them.
type programLoad struct {
	name string

	mu   sync.Mutex
	ok   int
	lost []string
}

func (l *programLoad) count(n int) {
	l.mu.Lock()
	l.ok += n
	l.mu.Unlock()
}

func (l *programLoad) lose(format string, args ...any) {
	l.mu.Lock()
	l.lost = append(l.lost, fmt.Sprintf(format, args...))
	l.mu.Unlock()
}

// progress waits until some more requests have been answered, or one was lost.
func (l *programLoad) progress(t *testing.T) {
	t.Helper()
	answered := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.ok + 1000*len(l.lost)
	}
	before := answered()
	harness.Eventually(t, l.name+" goes on", func() bool { return answered() >= before+10 })
}

// programLoads are programs that speak HTTP/2, each with what runs it once: that makes a number
// of requests, and returns how many were answered. nghttp and h2load make no request again that
// a GOAWAY says was not begun: what they do not get an answer to does not count, but what they get
// another answer to.
func programLoads(t *testing.T, s *harness.Server, url string) map[string]func() (ok, of int, out string) {
	curl, nghttp, h2load := harness.NeedsProgram(t, "curl"), harness.NeedsProgram(t, "nghttp"), harness.NeedsProgram(t, "h2load")
	run := func(program string, args ...string) string {
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%s\n%v", out, err)
		}
		return string(out)
	}
	const n = 40
	version, pagesOfCurl := "--http2-prior-knowledge", 1 // curl 7.88 cannot use such a connection twice
	if s.TLS != nil {
		version, pagesOfCurl = "--http2", n
	}
	var pages []string
	for i := range n {
		pages = append(pages, fmt.Sprintf("%s/load/nghttp/%d", url, i))
	}
	answered := regexp.MustCompile(`(?m) 200 +\S+ /load/nghttp/`)
	otherwise := regexp.MustCompile(`(?m) [1345]\d\d +\S+ /load/nghttp/`)
	return map[string]func() (int, int, string){
		"curl": func() (int, int, string) {
			out := run(curl, "-sSk", version, fmt.Sprintf("%s/load/curl/[1-%d]", url, pagesOfCurl))
			return strings.Count(out, "/load/curl/"), pagesOfCurl, out
		},
		"nghttp": func() (int, int, string) {
			out := run(nghttp, append([]string{"-ns", "--no-verify-peer"}, pages...)...)
			ok := len(answered.FindAllString(out, -1))
			if !otherwise.MatchString(out) {
				return ok, ok, out
			}
			return ok, n, out
		},
		"h2load": func() (int, int, string) {
			out := run(h2load, "-n", fmt.Sprint(n), "-c", "2", "-m", "4", url+"/load/h2load")
			if strings.Contains(out, fmt.Sprintf("%d succeeded, 0 failed", n)) {
				return n, n, out
			}
			if strings.Contains(out, " 0 timeout") && strings.Contains(out, "0 3xx, 0 4xx, 0 5xx") {
				return 0, 0, out
			}
			return 0, n, out
		},
	}
}

// TestAllHTTP2ClientsUnderUpgrades has clients of HTTP/2 make requests while the server is
// upgraded and the workers are exchanged: none of their requests is lost.
func TestAllHTTP2ClientsUnderUpgrades(t *testing.T) {
	t.Parallel()
	node := harness.NeedsProgram(t, "node")
	o := harness.Options{App: "webapp:app", Daemon: true, Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("old")}}
	for _, way := range []string{harness.WebH2, harness.WebH2C} {
		t.Run(way, func(t *testing.T) {
			s := harness.Start(t, harness.WithHTTP2(t, way, o))
			url := "http://" + s.Address
			if s.TLS != nil {
				url = fmt.Sprintf("https://127.0.0.1:%d", s.Port)
			}
			stop := make(chan struct{})
			var ended sync.WaitGroup
			loads := []*programLoad{nodeLoad(t, node, url, stop, &ended)}
			for name, once := range programLoads(t, s, url) {
				l := &programLoad{name: name}
				loads = append(loads, l)
				ended.Go(func() { l.repeat(once, stop) })
			}
			web := s.WebLoad(3, way)
			var b *harness.Browser
			if s.TLS != nil {
				b = harness.StartBrowser(t, "en-US", "--ignore-certificate-errors")
				b.Open(url + "/load/browser")
				b.Eval(browserLoad)
			}
			progress := func() {
				web.Progress(10)
				for _, l := range loads {
					l.progress(t)
				}
				if b != nil {
					b.Await(fmt.Sprintf("tally.ok >= 10 + %s || tally.lost.length > 0", b.Eval("tally.ok")))
				}
			}
			progress()
			for _, version := range []string{"new", "newer"} {
				s.Reload(2)
				progress()
				s.WriteFile("webapp.py", versioned(version))
				old := s.PID()
				u := upgrade(s, 2)
				progress()
				s.Signal(syscall.SIGTERM)
				harness.WaitGone(t, old)
				u.become()
				progress()
			}
			close(stop)
			ended.Wait()
			web.ExpectNoneLost(t)
			for _, l := range loads {
				t.Logf("%s: %d answered", l.name, l.ok)
				if len(l.lost) > 0 {
					t.Errorf("%s has lost %d: %.3000s", l.name, len(l.lost), strings.Join(l.lost, "\n"))
				}
			}
			if b != nil {
				t.Logf("Chromium: %s answered", b.Eval("tally.ok"))
				if lost := b.Eval("tally.stopped = true, tally.lost.join('\\n')"); lost != "" {
					t.Errorf("Chromium has lost: %s", lost)
				}
			}
			s.Terminate()
		})
	}
}

// browserLoad makes requests in the page until tally.stopped.
const browserLoad = `
window.tally = {ok: 0, lost: [], stopped: false};
for (let id = 0; id < 3; id++) (async () => {
	for (let n = 0; !tally.stopped; n++) {
		const path = "/load/browser/" + id + "/" + n;
		try {
			const r = await fetch(path, {cache: "no-store"});
			const text = await r.text();
			if (r.status === 200 && text === path + "\n") tally.ok++;
			else tally.lost.push(r.status + " " + text.slice(0, 100));
		} catch (e) {
			tally.lost.push(path + ": " + e);
		}
		await new Promise(done => setTimeout(done, 10 + 300 * id));
	}
})();
"begun"`

// repeat runs a program again and again.
func (l *programLoad) repeat(once func() (ok, of int, out string), stop chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		ok, of, out := once()
		l.count(ok)
		if ok != of {
			l.lose("%d of %d answered:\n%.1500s", ok, of, out)
		}
	}
}

// nodeLoad runs clients/requests_node.mjs until stop is closed.
func nodeLoad(t *testing.T, node, url string, stop chan struct{}, ended *sync.WaitGroup) *programLoad {
	l := &programLoad{name: "node"}
	cmd := exec.Command(node, "clients/requests_node.mjs", url)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	harness.Must(t, err)
	out, err := cmd.StdoutPipe()
	harness.Must(t, err)
	cmd.Stderr = cmd.Stdout
	harness.Must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	go func() {
		<-stop
		in.Close()
	}()
	ended.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if line := lines.Text(); line == "ok" {
				l.count(1)
			} else {
				l.lose("%s", line)
			}
		}
		io.Copy(io.Discard, out) //nolint:errcheck // it ends with the program
		if err := cmd.Wait(); err != nil {
			l.lose("%v", err)
		}
	})
	return l
}
