//go:build linux

package test

import (
	"strings"
	"testing"

	"indrik/test/harness"
)

// What log_redact names is in no form of the access log, and in no line about an error.
func TestLogRedact(t *testing.T) {
	t.Parallel()
	const app = `
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fails":
        raise ValueError("on purpose")
    start_response("200 OK", [("Content-Length", "2"), ("Set-Cookie", "session=secret-1; Path=/"), ("X-Answer", "secret-2")])
    return [b"ok"]
`
	const format = `%(r)s|%(q)s|%(f)s|%(u)s|%({cookie}i)s|%({x-key}i)s|%({set-cookie}o)s|%({x-answer}o)s|%({HTTP_COOKIE}e)s|%({RAW_URI}e)s|%({QUERY_STRING}e)s|%(a)s`
	const shown = `GET /a?token=REDACTED&plain=1 HTTP/1.1|token=REDACTED&plain=1|http://x/?token=REDACTED|-|session=REDACTED; theme=dark|REDACTED|` +
		`session=REDACTED; Path=/|REDACTED|session=REDACTED; theme=dark|/a?token=REDACTED&plain=1|token=REDACTED&plain=1|shown`
	rules := []string{"--log-redact", "query:token,header:authorization", "--log-redact", "header:x-key", "--log-redact", "header:X-Answer", "--log-redact", "cookie:session"}
	syslog, addr := harness.ListenPackets(t, "udp")
	for name, c := range map[string]struct {
		args []string
		conf string
		want []string
		log  *harness.Transcript
	}{
		"text":   {args: []string{"--access-logfile", "-"}, want: []string{shown}},
		"JSON":   {args: []string{"--access-logfile", "-", "--log-format", "json"}, want: []string{`"query":"token=REDACTED&plain=1"`, `"referer":"http://x/?token=REDACTED"`, `"user":null`}},
		"ECS":    {args: []string{"--access-logfile", "-", "--log-format", "ecs"}, want: []string{`"url.query":"token=REDACTED&plain=1"`}},
		"syslog": {args: []string{"--log-syslog", "--log-syslog-to", "udp://" + addr}, want: []string{shown}, log: syslog},
		"Python": {args: []string{"--access-logfile", "-"}, want: []string{shown}, conf: "import gunicorn_like\nlogger_class = gunicorn_like.Own\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{
				App: "webapp:app", Args: append(append([]string{"--access-logformat", format}, rules...), c.args...), Conf: c.conf,
				Files: map[string]string{"webapp.py": app, "gunicorn_like.py": "from indrik.glogging import Logger\nclass Own(Logger):\n    pass\n"},
			}
			if name == "JSON" || name == "ECS" {
				o.Args = append(append([]string{}, rules...), c.args...)
			}
			s := harness.Start(t, o)
			client := s.Client()
			fields := []string{
				"Referer: http://x/?token=secret-3", "Authorization: Basic dXNlcjpzZWNyZXQ=", "Cookie: session=secret-4; theme=dark", "X-Key: secret-5", "User-Agent: shown",
			}
			client.Do(t, "GET", "/a?token=secret-6&plain=1", "", fields...)
			client.Do(t, "GET", "/fails?token=secret-7", "", fields...)
			log := s.Log
			if c.log != nil {
				log = c.log
			}
			harness.Eventually(t, "both are logged", func() bool {
				return strings.Contains(log.String(), "REDACTED&plain=1") && strings.Contains(log.String(), "/fails")
			})
			for _, want := range c.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no %s in %s", want, log)
				}
			}
			s.Log.ExpectFrom(t, 0, `Error handling request GET /fails\?REDACTED`)
			s.Terminate()
			for _, l := range []*harness.Transcript{s.Log, log} {
				if strings.Contains(l.String(), "secret-") || strings.Contains(l.String(), "dXNlcjpzZWNyZXQ") {
					t.Errorf("a secret is in %s", l)
				}
			}
		})
	}
}

// A rule that is none is refused, and the error names it.
func TestLogRedactRefuses(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "hello:app", Args: []string{"--log-redact", "query:a", "--log-redact", "token"}, NoProbe: true})
	s.Log.ExpectFrom(t, 0, `Error: "token" is none of query:NAME, header:NAME and cookie:NAME, where NAME may be \*`)
	s.ExpectExit(1)
}
