//go:build linux

package test

import "testing"

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
			o := options{app: tt.app}
			if tt.also != "" {
				s := launch(t, o)
				s.log.expect(t, tt.log)
				s.terminate()
				o.args = []string{"-k", tt.also}
			}
			s := start(t, o)
			if tt.also == "" {
				s.log.expect(t, tt.log)
			}
			if got := s.get("/"); got != "Hello, World!" {
				t.Error(got)
			}
			s.terminate()
		})
	}
	s := launch(t, options{app: "asgiapps:configured"})
	s.log.expect(t, `'asgiapps:configured' takes 1 argument \(config\): it is no application\. .* write the call: 'asgiapps:configured\(\.\.\.\)'\.$`)
	s.expectExit(4)
}
