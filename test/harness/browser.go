//go:build linux

package harness

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Browser is Chromium with one page, which a test drives by the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/): over a pipe, so that nothing listens.
// It reaches no other host than 127.0.0.1, and keeps what it has asked for and complained of.
type Browser struct {
	t       testing.TB
	to      *os.File
	session string
	done    chan struct{} // closed when nothing more comes

	mu      sync.Mutex
	last    int
	waiting map[int]chan devtoolsMessage
	asked   []string // URLs
	trouble []string // errors and warnings in the console
}

// A devtoolsMessage is an answer or an event.
type devtoolsMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// StartBrowser starts Chromium with an empty page, for people who prefer a language, such as
// en-US, with more options of its command line. It ends with the test.
func StartBrowser(t *testing.T, language string, options ...string) *Browser {
	t.Helper()
	program := NeedsProgram(t, "chromium")
	dir := TempDir(t)
	fromTest, toBrowser, err := os.Pipe()
	Must(t, err)
	fromBrowser, toTest, err := os.Pipe()
	Must(t, err)
	log, err := os.Create(filepath.Join(dir, "log"))
	Must(t, err)
	options = append(options, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-crash-reporter",
		"--disable-breakpad", "--no-default-browser-check", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--lang="+language, "--accept-lang="+language,
		"--user-data-dir="+filepath.Join(dir, "profile"), "--crash-dumps-dir="+dir, "--window-size=1280,900", "about:blank")
	cmd := exec.Command(program, options...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "LANGUAGE="+language)
	cmd.ExtraFiles = []*os.File{fromTest, toTest} // 3 and 4
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	Must(t, cmd.Start())
	Started.Store(cmd.Process.Pid, true)
	fromTest.Close()
	toTest.Close()
	b := &Browser{t: t, to: toBrowser, done: make(chan struct{}), waiting: map[int]chan devtoolsMessage{}}
	go b.listen(fromBrowser)
	t.Cleanup(func() {
		toBrowser.Close() // that ends it
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and what is left of its processes
		<-ended
		<-b.done
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			for line := range strings.Lines(string(text)) {
				if !strings.Contains(line, "dbus/") { // there is no desktop here
					t.Logf("chromium: %s", line)
				}
			}
		}
	})
	var target struct{ TargetID string }
	b.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network", "Accessibility"} {
		b.Call(domain+".enable", nil, nil)
	}
	return b
}

// listen takes what the browser says.
func (b *Browser) listen(from *os.File) {
	defer close(b.done)
	defer from.Close()
	r := bufio.NewReader(from)
	for {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m devtoolsMessage
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.ID != 0 {
			b.waiting[m.ID] <- m
			delete(b.waiting, m.ID)
		} else {
			b.noteLocked(m)
		}
		b.mu.Unlock()
	}
}

// noteLocked keeps an event that tests look at.
func (b *Browser) noteLocked(m devtoolsMessage) {
	var p struct {
		Type    string
		Request struct{ URL string }
		Entry   struct{ Level, Text, URL string }
		Args    []struct {
			Value       any
			Description string
		}
		ExceptionDetails struct {
			Text      string
			URL       string
			Exception struct{ Description string }
		}
	}
	_ = json.Unmarshal(m.Params, &p)
	switch m.Method {
	case "Network.requestWillBeSent":
		b.asked = append(b.asked, p.Request.URL)
	case "Runtime.consoleAPICalled":
		b.trouble = append(b.trouble, fmt.Sprintf("console.%s: %v", p.Type, p.Args))
	case "Runtime.exceptionThrown":
		b.trouble = append(b.trouble, fmt.Sprintf("exception: %s %s", p.ExceptionDetails.Text, p.ExceptionDetails.Exception.Description))
	case "Log.entryAdded":
		b.trouble = append(b.trouble, fmt.Sprintf("%s: %s %s", p.Entry.Level, p.Entry.Text, p.Entry.URL))
	}
}

// Asked returns the addresses that the browser has asked for so far.
func (b *Browser) Asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.asked...)
}

// Trouble returns what is in the console, which should be nothing, and empties it.
func (b *Browser) Trouble() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := b.trouble
	b.trouble = nil
	return found
}

// Call calls a method of the protocol for the page, and decodes its result unless that is nil.
func (b *Browser) Call(method string, params, result any) {
	b.t.Helper()
	b.call(b.session, method, params, result)
}

func (b *Browser) call(session, method string, params, result any) {
	b.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	answer := make(chan devtoolsMessage, 1)
	b.mu.Lock()
	b.last++
	id := b.last
	b.waiting[id] = answer
	b.mu.Unlock()
	text, err := json.Marshal(map[string]any{"id": id, "method": method, "params": params})
	Must(b.t, err)
	if session != "" {
		text, err = json.Marshal(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
		Must(b.t, err)
	}
	_, err = b.to.Write(append(text, 0))
	Must(b.t, err)
	select {
	case m := <-answer:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if result != nil {
			Must(b.t, json.Unmarshal(m.Result, result))
		}
	case <-b.done:
		b.t.Fatalf("%s: the browser has ended", method)
	case <-time.After(2 * Patience):
		b.t.Fatalf("%s: no answer", method)
	}
}

// Open goes to an address.
func (b *Browser) Open(url string) {
	b.t.Helper()
	var gone struct{ ErrorText string }
	b.Call("Page.navigate", map[string]any{"url": url}, &gone)
	if gone.ErrorText != "" {
		b.t.Fatalf("%s: %s", url, gone.ErrorText)
	}
}

// Eval returns the value of an expression in the page, as text; a promise is awaited.
func (b *Browser) Eval(expression string) string {
	b.t.Helper()
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	b.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s %s", expression, r.ExceptionDetails.Text, r.ExceptionDetails.Exception.Description)
	}
	if r.Result.Value == nil {
		return ""
	}
	return fmt.Sprint(r.Result.Value)
}

// Await waits until an expression in the page is true.
func (b *Browser) Await(expression string) {
	b.t.Helper()
	if !Within(Patience, func() bool { return b.Eval("Boolean("+expression+")") == "true" }) {
		b.t.Fatalf("never true: %s\nThe page:\n%s\n%s", expression, b.Eval("document.body.innerText"), strings.Join(b.Trouble(), "\n"))
	}
}

// Press presses keys, by their names: Tab, Enter, Escape, ArrowLeft; Shift+Tab.
func (b *Browser) Press(keys ...string) {
	b.t.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
	for _, name := range keys {
		key, shifted := strings.CutPrefix(name, "Shift+")
		code, known := codes[key]
		if !known {
			b.t.Fatalf("no key %q", key)
		}
		event := map[string]any{"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
		if shifted {
			event["modifiers"] = 8
		}
		switch key {
		case "Enter":
			event["type"], event["text"] = "keyDown", "\r"
		case "Space":
			event["type"], event["text"], event["key"] = "keyDown", " ", " "
		}
		b.Call("Input.dispatchKeyEvent", event, nil)
		event["type"] = "keyUp"
		delete(event, "text")
		b.Call("Input.dispatchKeyEvent", event, nil)
	}
}

// Type types a text where the focus is.
func (b *Browser) Type(text string) {
	b.t.Helper()
	b.Call("Input.insertText", map[string]any{"text": text}, nil)
}

// Resize gives the page a size in pixels, and colours: light or dark.
func (b *Browser) Resize(width, height int, colours string) {
	b.t.Helper()
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": colours}}}, nil)
}

// Screenshot writes a picture of the page, or of all that can be scrolled to, as PNG.
func (b *Browser) Screenshot(path string, whole bool) {
	b.t.Helper()
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": whole}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	Must(b.t, err)
	Must(b.t, os.WriteFile(path, data, 0o644))
}

// An AXNode is what a screen reader has of an element.
type AXNode struct {
	Ignored  bool
	Role     struct{ Value string }
	Name     struct{ Value any }
	NodeID   string `json:"nodeId"`
	ParentID string `json:"parentId"`
}

// Tree returns what a screen reader has of the page.
func (b *Browser) Tree() []AXNode {
	b.t.Helper()
	var tree struct{ Nodes []AXNode }
	b.Call("Accessibility.getFullAXTree", nil, &tree)
	return tree.Nodes
}
