// Package statsd sends metrics to a StatsD server, with Gunicorn's names and forms:
// each is one datagram, such as
//
//	prefix.gunicorn.request.status.200:1|c|@1.0|#tag:value
//
// A metric that cannot be sent is lost; nothing waits for the server.
//
// Try it with go test ./internal/statsd.
package statsd

import (
	"net"
	"strconv"
	"strings"
	"time"

	"indrik/internal/datagram"
	"indrik/internal/pathwalk"
)

// A Client sends metrics. It may be used by any number of goroutines; a nil one
// sends nothing.
type Client struct {
	prefix, tags string
	datagram     *datagram.Sender
}

// New returns a client of the server at addr, a value of the setting statsd_host; nil
// without one. failed is told when metrics begin to be lost.
func New(addr, prefix, tags string, failed func(error)) *Client {
	if addr == "" {
		return nil
	}
	if prefix = strings.TrimRight(prefix, "."); prefix != "" {
		prefix += "."
	}
	if tags != "" {
		tags = "|#" + tags
	}
	network, address := Address(addr)
	return &Client{prefix, tags, datagram.New(func() (conn net.Conn, err error) {
		dial := func(address string) error {
			conn, err = net.DialTimeout(network, address, time.Second)
			return err
		}
		if network == "unixgram" {
			return conn, pathwalk.Connect(address, dial)
		}
		return conn, dial(address)
	}, failed)}
}

// Address is what net.Dial wants for a value of statsd_host: a datagram socket of IPv4,
// or of the file system.
func Address(host string) (network, address string) {
	// unix:8125 is a host of that name.
	if path, ok := strings.CutPrefix(host, "unix:"); ok && strings.Trim(path, "0123456789") != "" {
		return "unixgram", strings.TrimPrefix(path, "//")
	}
	if strings.HasPrefix(host, "[") {
		if strings.HasSuffix(host, "]") {
			host += ":8125"
		}
		return "udp", host
	}
	if !strings.Contains(host, ":") {
		host += ":8125"
	}
	return "udp4", host
}

func (c *Client) send(name, value, kind string) {
	if c != nil {
		c.datagram.Send([]byte(c.prefix + name + ":" + value + kind + c.tags))
	}
}

// Increment counts one.
func (c *Client) Increment(name string) { c.send(name, "1", "|c|@1.0") }

// Gauge sends a value that stays until the next one.
func (c *Client) Gauge(name string, n int) { c.send(name, strconv.Itoa(n), "|g") }

// Histogram sends one of many values.
func (c *Client) Histogram(name string, n int) { c.send(name, strconv.Itoa(n), "|h") }

// Timer sends a duration, in milliseconds as Python prints a float.
func (c *Client) Timer(name string, d time.Duration) {
	text := strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	c.send(name, text, "|ms")
}

// Request sends the metrics of a request that was answered.
func (c *Client) Request(status int, took time.Duration) {
	if c != nil {
		c.Timer("gunicorn.request.duration", took)
		c.Increment("gunicorn.requests")
		c.Increment("gunicorn.request.status." + strconv.Itoa(status))
	}
}

// Close sends what waits and ends c.
func (c *Client) Close() {
	if c != nil {
		c.datagram.Close()
	}
}
