package settings

import (
	"reflect"
	"testing"

	"indrik/internal/wire"
)

func TestSinks(t *testing.T) {
	c := config(t, "")
	if c.SyslogSink() != nil || c.StatsdSink() != nil {
		t.Errorf("%+v %+v", c.SyslogSink(), c.StatsdSink())
	}
	c = config(t, "--log-syslog --name a:b --log-syslog-facility LOCAL1 --statsd-host h --dogstatsd-tags x --statsd-prefix p")
	if got, want := c.SyslogSink(), (&wire.Syslog{Addr: "udp://localhost:514", Facility: "local1", Prefix: "a.b", Access: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got, want := c.StatsdSink(), (&wire.Statsd{Addr: "h", Prefix: "p", Tags: "x"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	c = config(t, "--log-syslog --log-syslog-prefix q --disable-redirect-access-to-syslog")
	if got := c.SyslogSink(); got.Prefix != "q" || got.Access {
		t.Errorf("%+v", got)
	}
}
