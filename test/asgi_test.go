//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

// ASGI apps are recognized, whatever the worker class is, and served.
func TestASGIApps(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "-k asgi", "--threads 3", "--preload", "-k uvicorn.workers.UvicornWorker"} {
		t.Run(args, func(t *testing.T) {
			s := harness.Start(t, harness.Options{App: "asgiapps:echo", Args: strings.Fields(args)})
			c := s.Client()
			for i := range 3 {
				if r := c.Do(t, "POST", fmt.Sprintf("/%d", i), "body"); r.Status != 200 || r.Body != fmt.Sprintf("/%d\nbody", i) || r.Framing != "length" {
					t.Errorf("%v", r)
				}
			}
			large := strings.Repeat("0123456789", 100_000)
			if r := c.Do(t, "POST", "/large", large); r.Status != 200 || r.Body != "/large\n"+large {
				t.Errorf("%v", r)
			}
			switch args {
			case "":
				s.Log.Expect(t, `\[INFO\] Using worker: asgi, since asgiapps:echo is an ASGI app$`)
			case "-k uvicorn.workers.UvicornWorker":
				s.Log.Expect(t, `\[INFO\] Using worker: asgi, which does the job of uvicorn\.workers\.UvicornWorker$`)
			case "--threads 3":
				s.Log.Expect(t, `\[WARNING\] ASGI worker does not use threads configuration\. Use worker_connections instead\.$`)
			}
			s.Terminate()
		})
	}
}
