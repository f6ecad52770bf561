//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// What the server does by itself is on the page, and so are pools; of what it does not do there is
// nothing.
func TestAllLiveViewOfSelfCare(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{
		App: "pooled:app", Args: poolArgs(1, 2, "--workers", "2..4", "--control-socket", "srv.ctl"), Conf: "canary = '50% for 1h'\n",
	})
	b := openLiveView(t, admin, "en-US")
	b.Await("document.getElementById('figure-workersOf').textContent.includes('(2 to 4)')")
	b.Await("document.querySelector('#selfcare [data-key=range] dd')?.textContent === '2 to 4'")
	b.Await("document.querySelector('#pools [data-key=pool-dirty] dd')?.textContent?.startsWith('0 of 2 busy, 0 waiting, 1 workers')")
	if text := b.Eval("document.querySelector('#selfcare').textContent"); strings.Contains(text, "Canary") || strings.Contains(text, "Template") {
		t.Errorf("what is not there is shown: %s", text)
	}
	done(t, s, "refork")
	b.Await("document.querySelector('#selfcare [data-key=template] dd')?.textContent?.endsWith('has forked 2')")
	b.Await("document.querySelector('#selfcare [data-key=reforks] dd')?.textContent === '1, and 0 failed'")
	s.Signal(syscall.SIGHUP)
	s.Log.Expect(t, `Canary: generation 2 gets 50%`)
	for range 8 {
		s.Get("/")
	}
	b.Await("document.getElementById('state').textContent === 'trying new workers'")
	b.Await("document.querySelector('#selfcare [data-key=canary] dd')?.textContent?.startsWith('50% for ')")
	b.Await("/^[1-9] requests, 0 failed/.test(document.querySelector('#selfcare [data-key=canaryNew] dd')?.textContent)")
	b.Eval("document.querySelector('#languages [value=ru]').click()")
	b.Await("document.querySelector('#selfcare-title').textContent === 'Что сервер делает сам'")
	b.Await("document.querySelector('#selfcare [data-key=canaryOld] dt')?.textContent === 'Старые воркеры'")
	checkBrowser(t, b, admin, "")
	s.Terminate()
}
