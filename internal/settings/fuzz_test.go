package settings

import (
	"strings"
	"testing"

	"indrik/internal/shlex"
)

// Whatever stands on a command line or in a variable: an answer, and no panic.
func FuzzCommandLine(f *testing.F) {
	f.Add("-w 4 --bind=:80 'test:app'")
	f.Add("--proxy-p -Dw4 -- --x \\\"")
	f.Add("-c a.toml --umask 0o22 -e A=B -eC --forwarded-allow-ips 10.0.0.0/8,*")
	f.Fuzz(func(t *testing.T, text string) {
		words, err := shlex.Split(text)
		if err != nil {
			words = strings.Fields(text)
		}
		var environ []string
		for i := range Table {
			environ = append(environ, Table[i].Variable()+"="+text)
		}
		l, app, err := ParseArgs("indrik", words)
		if err != nil {
			Report(err)
		}
		c, err := Resolve(app, Layer{dir: "/"}, FromVariables(environ), l)
		if err != nil {
			Report(err)
		}
		c.Text()
	})
}
