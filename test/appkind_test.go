//go:build linux

package test

import (
	"testing"

	"indrik/test/harness"
)

// What an app is shows when it is asked, or by its arguments; the log says what was
// assumed.
func TestAppsThatMustBeAsked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ app, log, also string }{
		{"asgiapps:slotted", `Using worker: asgi, since asgiapps:slotted is an ASGI app$`, ""},
		{"asgiapps:create_app", `INFO\] asgiapps:create_app is called to make the app, since it needs no arguments$`, ""},
		{"asgiapps:anything", `WARNING\] asgiapps:anything is taken for an app of WSGI, since it takes any arguments. For ASGI use -k asgi$`, "asgi"},
	} {
		t.Run(tt.app, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: tt.app}
			if tt.also != "" {
				s := harness.Launch(t, o)
				s.Log.Expect(t, tt.log)
				s.Terminate()
				o.Args = []string{"-k", tt.also}
			}
			s := harness.Start(t, o)
			if tt.also == "" {
				s.Log.Expect(t, tt.log)
			}
			if got := s.Get("/"); got != "Hello, World!" {
				t.Error(got)
			}
			s.Terminate()
		})
	}
	s := harness.Launch(t, harness.Options{App: "asgiapps:configured"})
	s.Log.Expect(t, `'asgiapps:configured' takes 1 argument \(config\): it is no application\. .* write the call: 'asgiapps:configured\(\.\.\.\)'\.$`)
	s.ExpectExit(4)
}
