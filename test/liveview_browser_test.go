//go:build linux

package test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// openLiveView opens the page, and waits until it has figures.
func openLiveView(t *testing.T, admin *harness.Endpoint, language string) *harness.Browser {
	t.Helper()
	b := harness.StartBrowser(t, language)
	b.Open("http://" + admin.Address + "/")
	b.Await("document.getElementById('notice')?.dataset.state === 'open'")
	b.Await("document.querySelectorAll('#workers > li').length === 2")
	b.Await("document.querySelector('#figure-answered dd')")
	return b
}

// checkBrowser looks for what must never happen: an error in the console, but for those that
// are expected, and a request to another host.
func checkBrowser(t *testing.T, b *harness.Browser, admin *harness.Endpoint, expected string) {
	t.Helper()
	for _, line := range b.Trouble() {
		if expected == "" || !regexp.MustCompile(expected).MatchString(line) {
			t.Errorf("in the console: %s", line)
		}
	}
	for _, url := range b.Asked() {
		if !strings.HasPrefix(url, "http://"+admin.Address+"/") {
			t.Errorf("it asked for %s", url)
		}
	}
}

// metricSum adds up the values of a metric whose labels have all of some texts.
func metricSum(t *testing.T, admin *harness.Endpoint, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for line := range strings.Lines(admin.Get("/metrics")) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if metric, _, _ := strings.Cut(series, "{"); metric != name || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		harness.Must(t, err)
		sum += v
	}
	return sum
}

// numberIn is the number in a text, without what groups its digits.
func numberIn(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(regexp.MustCompile(`\D`).ReplaceAllString(text, ""))
	if err != nil {
		t.Fatalf("no number: %q", text)
	}
	return n
}

// What the page shows agrees with /metrics and with what clients have counted, in both
// languages.
func TestAllLiveViewFigures(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	before := numberIn(t, b.Eval("document.querySelector('#figure-answered dd').textContent"))
	var clients sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		c := s.Client()
		clients.Go(func() {
			for i := range 120 {
				if r := c.Do(t, "GET", []string{"/", "/404", "/", "/503"}[i%4], ""); r.Status > 0 {
					answered.Add(1)
				}
			}
		})
	}
	clients.Wait()
	made := before + int(answered.Load())
	b.Await(fmt.Sprintf("document.querySelector('#figure-answered dd').textContent.replace(/\\D/g, '') === '%d'", made))
	if n := metricSum(t, admin, "indrik_http_requests_total"); n != float64(made) {
		t.Errorf("the metrics have %v responses, clients and the page %d", n, made)
	}
	if n := numberIn(t, b.Eval("document.querySelector('#figure-failed dd').textContent")); n != 120 || metricSum(t, admin, "indrik_http_requests_total", `status="503"`) != 120 {
		t.Errorf("the page has %d errors", n)
	}
	// What the events say of quantiles and of busy workers is of the same counters.
	if n := metricSum(t, admin, "indrik_http_request_duration_seconds_count"); n != float64(made) {
		t.Errorf("the histogram has %v responses, not %d", n, made)
	}
	b.Await("document.querySelectorAll('.chart:nth-child(1) .area')[0].getAttribute('d').length > 20")
	b.Await("document.querySelectorAll('.chart:nth-child(2) .line[d]').length >= 3")

	// Two requests are held: two workers are busy, and their tiles and the charts say so.
	first, second := s.Begin("/held?secret=1"), s.Begin("/held?secret=2")
	b.Await("document.querySelectorAll('.tile[data-busy=true]').length === 2")
	b.Await("document.querySelector('.chart:nth-child(3) b').textContent === '100%'")
	b.Await("document.querySelector('.chart:nth-child(6) b').textContent === '2'")
	if text := b.Eval("document.querySelector('.tile .request').textContent"); text != "GET /held" {
		t.Errorf("a tile shows %q", text)
	}
	third := s.Begin("/held")
	b.Await("document.querySelector('#figure-queued dd').textContent === '1'")
	b.Await("document.querySelector('.chart:nth-child(4) b').textContent === '1'")
	s.Gates["held"].Release()
	for _, p := range []*harness.Pending{first, second, third} {
		p.Expect(200)
	}
	b.Await("document.querySelectorAll('.tile[data-busy=true]').length === 0")

	// The table has the same, and the language changes at once, and stays.
	b.Eval("document.querySelector('#table summary').click()")
	b.Await("document.querySelectorAll('#table tbody tr').length > 0")
	if head := b.Eval("document.querySelector('#table thead').innerText"); !strings.Contains(head, "Time in the queue") {
		t.Errorf("the head of the table: %q", head)
	}
	b.Eval("document.querySelector('#languages [value=ru]').click()")
	b.Await("document.documentElement.lang === 'ru' && document.querySelector('#workers-title').textContent === 'Воркеры: 2'")
	if head := b.Eval("document.querySelector('#table thead').innerText"); !strings.Contains(head, "Время в очереди") {
		t.Errorf("the head of the table: %q", head)
	}
	b.Open("http://" + admin.Address + "/")
	b.Await("document.querySelector('#state')?.textContent === 'работает'")
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// Browsers of people who prefer Russian get it without asking.
func TestAllLiveViewInRussian(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "ru-RU")
	if lang := b.Eval("document.documentElement.lang"); lang != "ru" {
		t.Errorf("the language is %q", lang)
	}
	if text := b.Eval("document.body.innerText"); !strings.Contains(text, "Последние пять минут") || strings.Contains(text, "Response time") {
		t.Errorf("the page:\n%s", text)
	}
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// Paths that clients choose are text, whatever they look like, and queries are not shown.
func TestAllLiveViewOfHostileClients(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	markup := `/<script>document.title='taken'</script><img%20src=x%20onerror=alert(1)>`
	turned := "/%E2%80%AEgnp.exe%00"
	for _, target := range []string{markup, turned} {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", target+"?key=confidential", "", "Cookie: key=confidential", "Authorization: Basic confidential"))
	}
	b.Await("document.querySelectorAll('.tile .request').length === 2")
	shown := b.Eval("[...document.querySelectorAll('.tile .request')].map(n => n.textContent).sort().join('\\n')")
	if !strings.Contains(shown, "<script>") || !strings.Contains(shown, turned) {
		t.Errorf("the tiles show %q", shown)
	}
	if b.Eval("document.querySelectorAll('body script, body [onerror], .tile img').length") != "0" || strings.Contains(b.Eval("document.title"), "taken") {
		t.Error("a path has become markup")
	}
	if app := b.Eval("document.getElementById('app').textContent"); app != `live:make('<img src=x>\u{202e}')` || b.Eval("document.querySelectorAll('#app *').length") != "0" {
		t.Errorf("the app is called %q", app)
	}
	if html := b.Eval("document.documentElement.outerHTML"); strings.Contains(html, "confidential") {
		t.Error("a query, a cookie or credentials are in the page")
	}
	s.Gates["held"].Release()
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// With the token the page can do what the commands do; a wrong one is refused, and asked for
// again. All of it works with the keyboard alone.
func TestAllLiveViewActions(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	focus := func(what string) {
		t.Helper()
		for range 60 {
			if b.Eval("document.activeElement?.matches("+strconv.Quote(what)+")") == "true" {
				return
			}
			b.Press("Tab")
		}
		t.Fatalf("Tab never comes to %s", what)
	}
	focus("#actions [value=reload]")
	b.Press("Enter")
	b.Await("document.getElementById('dialog').open")
	b.Press("Escape")
	b.Await("!document.getElementById('dialog').open")
	if b.Eval("document.activeElement.value") != "reload" {
		t.Error("the focus has not come back to the button")
	}
	b.Press("Enter")
	focus("#dialog-token")
	b.Type("a-token-that-is-wrong")
	b.Press("Enter")
	b.Await("document.getElementById('dialog').open && document.getElementById('dialog-error').textContent.includes('does not accept')")
	focus("#dialog-token")
	b.Type(liveToken)
	b.Press("Enter")
	b.Await("document.querySelector('#results li').textContent === 'Reload: done'")
	b.Await("document.querySelector('#figure-generation dd').textContent === '2' && document.querySelectorAll('#reloads li').length === 1")
	b.Await("document.querySelectorAll('#workers > li').length === 2")

	// The token is known now. A worker is ended, and another one comes.
	focus(".tile button")
	age := numberIn(t, b.Eval("document.activeElement.getAttribute('aria-label')"))
	b.Press("Enter")
	b.Await("document.getElementById('dialog').open && document.getElementById('dialog-token-field').hidden")
	focus("#dialog-go")
	b.Press("Enter")
	b.Await(fmt.Sprintf("document.querySelector('#results li').textContent === 'End worker %d: done'", age))
	b.Await(fmt.Sprintf("!document.getElementById('worker-%d') && document.querySelectorAll('#workers > li').length === 2", age))

	// The number of workers.
	b.Eval("document.querySelector('#actions [value=scale]').click()")
	b.Eval("document.getElementById('dialog-count').focus()")
	b.Type("3")
	b.Press("Enter")
	b.Await("document.querySelector('#results li').textContent === 'Scale: done' && document.querySelectorAll('#workers > li').length === 3")

	// A reload that fails shows why.
	s.WriteFile("live.py", "raise ValueError('<b>broken</b> \\u202e for a test')\n")
	b.Eval("document.querySelector('#actions [value=reload]').click()")
	b.Eval("document.getElementById('dialog-go').click()")
	b.Await("document.querySelector('#results li').textContent.includes('Reload failed, nothing was changed')")
	if text := b.Eval("document.querySelector('#results li pre').textContent"); !strings.Contains(text, "ValueError: <b>broken</b> \ufffd for a test") {
		t.Errorf("the reason: %s", text)
	}
	b.Await("document.querySelectorAll('#reloads li').length === 2 && document.querySelector('#reloads pre').textContent.includes('<b>broken</b>')")
	// Browsers note in the console that the server has refused.
	checkBrowser(t, b, admin, `^error: Failed to load resource: the server responded with a status of \d+ .* http://`+regexp.QuoteMeta(admin.Address)+`/actions/`)
	s.Terminate()
}

// Without a token there is nothing to press.
func TestAllLiveViewWithoutActions(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{Args: []string{"--workers", "2"}})
	b := openLiveView(t, admin, "en-US")
	if n := b.Eval("[...document.querySelectorAll('main button')].filter(n => n.checkVisibility()).length"); n != "0" {
		t.Errorf("there are %s buttons", n)
	}
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// When the front dies the page says so, comes back by itself, and keeps its past.
func TestAllLiveViewOfAFrontThatDies(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	b.Eval(`window.seen = []; new MutationObserver(() => seen.push(document.getElementById('notice').textContent)).observe(document.getElementById('notice'), {childList: true, characterData: true, subtree: true})`)
	b.Await("document.querySelector('.chart:nth-child(6) .p50.line').getAttribute('d').split('L').length > 3")
	before := numberIn(t, b.Eval("String(document.querySelector('.chart:nth-child(6) .line.p50').getAttribute('d').split('L').length)"))
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	b.Await("seen.some(text => text.includes('is lost')) && seen.some(text => text.includes('new front'))")
	b.Await("document.getElementById('notice').dataset.state === 'open'")
	if n := numberIn(t, b.Eval("String(document.querySelector('.chart:nth-child(6) .line.p50').getAttribute('d').split('L').length)")); n < before {
		t.Errorf("the chart had %d points, now %d", before, n)
	}
	checkBrowser(t, b, admin, `ERR_`)
	s.Terminate()
}

// In an upgrade the page follows the server that serves.
func TestAllLiveViewInAnUpgrade(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "chromium")
	binary, _ := install(t)
	port := harness.FreePort(t)
	s := harness.Start(t, harness.Options{Daemon: true, Binary: binary, Args: []string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", port), "--workers", "2"}})
	admin := harness.EndpointAt(t, port)
	b := openLiveView(t, admin, "en-US")
	u := upgrade(s, 2)
	b.Await(fmt.Sprintf("document.getElementById('notice').textContent.includes('the successor has pid %d')", u.successor))
	s.Signal(syscall.SIGWINCH)
	workersOf(s, s.PID(), 0)
	b.Await("document.getElementById('notice').textContent.includes('This is the successor')")
	s.Signal(syscall.SIGTERM)
	u.become()
	b.Await("document.getElementById('notice').dataset.state === 'open' && !document.getElementById('notice').textContent.includes('successor')")
	b.Await(fmt.Sprintf("document.getElementById('version').textContent.endsWith('pid %d')", u.successor))
	checkBrowser(t, b, admin, "ERR_")
	s.Terminate()
}

// A death that nobody wanted is told, with what the worker ran.
func TestAllLiveViewOfDeaths(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	held := s.Begin("/held")
	s.Gates["held"].Entered()
	b.Await("document.querySelectorAll('.tile[data-busy=true]').length === 1")
	pid := numberIn(t, b.Eval("document.querySelector('.tile[data-busy=true] dd').textContent"))
	harness.Kill(t, pid, syscall.SIGKILL)
	held.Expect(502)
	s.Gates["held"].Release()
	b.Await("document.querySelectorAll('#deaths li').length === 1")
	if text := b.Eval("document.querySelector('#deaths li').textContent"); !strings.Contains(text, "was sent SIGKILL") || !strings.Contains(text, "GET /held") {
		t.Errorf("the death: %s", text)
	}
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// A slow request is told with the place in the code where it is.
func TestAllLiveViewOfSlowRequests(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t, "--slow-request-log", "1.5")
	b := openLiveView(t, admin, "en-US")
	held := s.Begin("/held?key=confidential")
	s.Gates["held"].Entered()
	b.Await("document.querySelectorAll('#slow li').length === 1")
	b.Eval("document.querySelector('#slow summary').click()")
	if text := b.Eval("document.querySelector('#slow li').innerText"); !strings.Contains(text, "GET /held") || !strings.Contains(text, "<img src=x onerror=alert(1)>") || b.Eval("document.querySelectorAll('#slow img').length") != "0" || strings.Contains(text, "confidential") {
		t.Errorf("the slow request: %s", text)
	}
	// What is open stays open when the list is longer.
	second := s.Begin("/held")
	b.Await("document.querySelectorAll('#slow li').length === 2 && document.querySelectorAll('#slow details')[1].open")
	s.Gates["held"].Release()
	held.Expect(200)
	second.Expect(200)
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// Everything that can be used has a name for a screen reader; the charts can be read with the
// arrow keys; there is room on a narrow screen; colours follow the browser.
func TestAllLiveViewIsAccessible(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	b := openLiveView(t, admin, "en-US")
	b.Await("document.querySelector('.chart:nth-child(6) .p50.line').getAttribute('d').split('L').length > 3")
	named := []string{"button", "link", "textbox", "spinbutton", "slider", "heading", "region", "group", "log", "img", "DisclosureTriangle", "dialog", "table"}
	roles := map[string]int{}
	for _, n := range b.Tree() {
		role := n.Role.Value
		if n.Ignored || !slices.Contains(named, role) {
			continue
		}
		roles[role]++
		if name, _ := n.Name.Value.(string); strings.TrimSpace(name) == "" && role != "group" {
			t.Errorf("a %s has no name", role)
		}
	}
	if roles["slider"] != 6 || roles["button"] < 8 || roles["heading"] < 14 {
		t.Errorf("the tree has %v", roles)
	}
	b.Eval("document.querySelectorAll('.plot')[5].focus()")
	at := func() int {
		return numberIn(t, "0"+b.Eval("document.querySelectorAll('.plot')[5].getAttribute('aria-valuenow')"))
	}
	b.Press("ArrowLeft", "ArrowLeft")
	if n := at(); n < 1 {
		t.Errorf("after two steps to the left the chart is at %d s", n)
	}
	if text := b.Eval("document.querySelectorAll('.plot')[5].getAttribute('aria-valuetext')"); !regexp.MustCompile(`^\d\d:\d\d:\d\d, running: \d+, open: \d+$`).MatchString(text) {
		t.Errorf("the chart says %q", text)
	}
	b.Press("Escape")
	if text := b.Eval("document.querySelectorAll('.plot')[5].getAttribute('aria-valuetext')"); !strings.Contains(text, "in the last five minutes") {
		t.Errorf("the chart says %q", text)
	}
	ground := map[string]string{}
	for _, colours := range []string{"light", "dark"} {
		b.Resize(400, 800, colours)
		ground[colours] = b.Eval("getComputedStyle(document.body).backgroundColor")
		if b.Eval("document.documentElement.scrollWidth <= innerWidth") != "true" {
			t.Error("a narrow screen has to be scrolled to the side")
		}
		for text := range strings.FieldsSeq(b.Eval(contrasts)) {
			t.Errorf("%s: too little contrast: %s", colours, text)
		}
	}
	if ground["light"] == ground["dark"] {
		t.Errorf("the ground is %v", ground)
	}
	checkBrowser(t, b, admin, "")
	s.Terminate()
}

// contrasts finds text with less contrast than WCAG 2.2 asks for (1.4.3: 4.5 to 1).
const contrasts = `(() => {
  const parts = (colour) => (colour.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => { for (; node; node = node.parentElement) { const p = parts(getComputedStyle(node).backgroundColor); if (p.length === 3 || p[3] > 0) return p; } return [255, 255, 255]; };
  const bad = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const [a, b] = [light(parts(node.localName === 'text' ? style.fill : style.color)), light(ground(node))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(node.localName + '.' + node.className + ':' + contrast.toFixed(1));
  }
  return [...new Set(bad)].join(' ');
})()`

// What the scripts of the page compute, by Node's test runner; `go test ./internal/liveview`
// runs this, too, where there is Node.
func TestAllLiveViewScripts(t *testing.T) {
	t.Parallel()
	node := harness.NeedsProgram(t, "node")
	dir := harness.Repository + "/internal/liveview"
	tests, err := filepath.Glob(dir + "/testdata/*.test.js")
	harness.Must(t, err)
	if out := harness.Output(t, dir, nil, append([]string{node, "--test"}, tests...)...); !strings.Contains(out, "fail 0") {
		t.Error(out)
	}
}
