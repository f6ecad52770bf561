//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"
)

// ASGI apps are recognized, whatever the worker class is, and served.
func TestASGIApps(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "-k asgi", "--threads 3", "--preload", "-k uvicorn.workers.UvicornWorker"} {
		t.Run(args, func(t *testing.T) {
			s := start(t, options{app: "asgiapps:echo", args: strings.Fields(args)})
			c := s.client()
			for i := range 3 {
				if r := c.do(t, "POST", fmt.Sprintf("/%d", i), "body"); r.status != 200 || r.body != fmt.Sprintf("/%d\nbody", i) || r.framing != "length" {
					t.Errorf("%v", r)
				}
			}
			large := strings.Repeat("0123456789", 100_000)
			if r := c.do(t, "POST", "/large", large); r.status != 200 || r.body != "/large\n"+large {
				t.Errorf("%v", r)
			}
			switch args {
			case "":
				s.log.expect(t, `\[INFO\] Using worker: asgi, since asgiapps:echo is an ASGI app$`)
			case "-k uvicorn.workers.UvicornWorker":
				s.log.expect(t, `\[INFO\] Using worker: asgi, which does the job of uvicorn\.workers\.UvicornWorker$`)
			case "--threads 3":
				s.log.expect(t, `\[WARNING\] ASGI worker does not use threads configuration\. Use worker_connections instead\.$`)
			}
			s.terminate()
		})
	}
}
