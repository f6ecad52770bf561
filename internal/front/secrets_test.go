package front

import (
	"strings"
	"testing"
)

// What a request may have of secrets, its query and its fields, stands in no line of the
// log; as in Gunicorn's, but for the target of a request that cannot be handled.
func TestNoSecretsInTheLog(t *testing.T) {
	r, w := answering(t)
	r.s.log.SetLevel("debug")
	const request = "GET /page?token=s3cret HTTP/1.1\nHost: a\nAuthorization: Bearer s3cret\nCookie: s=s3cret\n\n"
	for _, c := range []struct {
		says string
		run  func(c *client)
	}{
		{"shorter than its Content-Length", func(c *client) {
			c.send(request)
			q := w.take(0)
			w.say(0, start(q.id, "200 OK", []header{{"Content-Length", "10"}}, "some"))
			w.say(0, end(q.id))
		}},
		{"has gone", func(c *client) {
			c.send(request)
			q := w.take(0)
			c.nc.Close()
			eventually(t, "it is noticed", func() bool { return strings.Contains(r.log.String(), "has gone") })
			w.say(0, echo(q))
		}},
	} {
		c.run(r.dial())
		eventually(t, c.says, func() bool { return strings.Contains(r.log.String(), c.says) })
	}
	log := r.log.String()
	if strings.Contains(log, "s3cret") || strings.Count(log, "GET /page ") < 2 {
		t.Errorf("the log has\n%s", log)
	}
}
