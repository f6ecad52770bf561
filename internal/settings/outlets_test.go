package settings

import (
	"reflect"
	"testing"

	"indrik/internal/wire"
)

func TestOutlets(t *testing.T) {
	c := config(t, "")
	if c.Syslog() != nil || c.Statsd() != nil {
		t.Errorf("%+v %+v", c.Syslog(), c.Statsd())
	}
	c = config(t, "--log-syslog --name a:b --log-syslog-facility LOCAL1 --statsd-host h --dogstatsd-tags x --statsd-prefix p")
	if got, want := c.Syslog(), (&wire.Syslog{Addr: "udp://localhost:514", Facility: "local1", Prefix: "a.b", Access: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got, want := c.Statsd(), (&wire.Statsd{Addr: "h", Prefix: "p", Tags: "x"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	c = config(t, "--log-syslog --log-syslog-prefix q --disable-redirect-access-to-syslog")
	if got := c.Syslog(); got.Prefix != "q" || got.Access {
		t.Errorf("%+v", got)
	}
}
