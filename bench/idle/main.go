// Command idle measures how much memory of the front an idle connection costs:
// HTTP/1.1 and HTTP/2, in the clear and over TLS. Each connection makes one request and
// then stays. Linux only: it reads /proc. It ends with 1 if a kind takes more than it may.
//
//	go run ./bench/idle -indrik bin/indrik -connections 10000
package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// settle is how long the connections are idle before the memory is looked at.
const settle = 10 * time.Second

// A kind of connection.
type kind struct {
	name string
	most float64  // KiB that a connection may take
	args []string // of the server, besides those for TLS
	tls  bool
	open func(address string) (net.Conn, error) // with one request made
}

var kinds = []kind{
	{"HTTP/1.1", 10, nil, false, func(address string) (net.Conn, error) { return requested(net.Dial("tcp", address)) }},
	{"HTTP/1.1 over TLS", 32, nil, true, func(address string) (net.Conn, error) {
		return requested(tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}))
	}},
	{"HTTP/2", 12, []string{"--http-protocols", "h1,h2", "--http2-cleartext", "prior-knowledge"}, false, func(address string) (net.Conn, error) {
		return openHTTP2(net.Dial("tcp", address))
	}},
	{"HTTP/2 over TLS", 40, []string{"--http-protocols", "h1,h2"}, true, func(address string) (net.Conn, error) {
		return openHTTP2(tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}))
	}},
}

func requested(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return nil, err
	}
	var b [1024]byte
	for got := ""; ; {
		n, err := c.Read(b[:])
		if err != nil {
			return nil, err
		}
		if got += string(b[:n]); strings.HasSuffix(got, "\r\n\r\nok\n") {
			return c, nil
		}
	}
}

// openHTTP2 makes a request by the frames alone: what a client of Go's keeps for a connection
// would be more than the server does.
func openHTTP2(c net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, c)
	if err := f.WriteSettings(); err != nil {
		return nil, err
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/"}, {"user-agent", "idle"}} {
		if err := enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}); err != nil {
			return nil, err
		}
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return nil, err
	}
	if _, err := c.Write(b.Bytes()); err != nil {
		return nil, err
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return nil, err
		}
		if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
			if string(data.Data()) != "ok\n" {
				return nil, fmt.Errorf("the answer is %q", data.Data())
			}
			return c, nil
		}
	}
}

func main() {
	indrik := flag.String("indrik", "bin/indrik", "the server")
	n := flag.Int("connections", 10000, "how many")
	only := flag.String("only", "", "measure those whose name has this in it")
	flag.Parse()
	code := 0
	fmt.Printf("| connection | memory of the front, each of %d |\n|---|---|\n", *n)
	for _, k := range kinds {
		if !strings.Contains(k.name, *only) {
			continue
		}
		each, err := measure(*indrik, k, *n)
		if err != nil {
			fmt.Fprintf(os.Stderr, "idle: %s: %s\n", k.name, err)
			os.Exit(1)
		}
		fmt.Printf("| %s | %.1f KiB |\n", k.name, each/1024)
		if each/1024 > k.most {
			fmt.Fprintf(os.Stderr, "idle: a connection of %s takes %.1f KiB, and may take %.0f\n", k.name, each/1024, k.most)
			code = 1
		}
	}
	os.Exit(code)
}

// measure returns the bytes of memory that each connection costs.
func measure(indrik string, k kind, n int) (each float64, err error) {
	dir, err := os.MkdirTemp("", "idle-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	s, address, err := startServer(indrik, dir, k)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	front, err := front(s.Process.Pid)
	if err != nil {
		return 0, err
	}
	// Some connections first, so that what is there only once is there.
	if err := open(k, address, min(n, 100), func() error { return nil }); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	before, err := resident(front)
	if err != nil {
		return 0, err
	}
	var after int64
	err = open(k, address, n, func() error {
		time.Sleep(settle)
		after, err = resident(front)
		return err
	})
	return float64(after-before) / float64(n), err
}

// open opens connections, a few at a time, and calls then while they are open.
func open(k kind, address string, n int, then func() error) error {
	const atATime = 8
	conns := make([]net.Conn, n)
	errs := make([]error, atATime)
	var all sync.WaitGroup
	for w := range atATime {
		all.Go(func() {
			for i := w; i < n && errs[w] == nil; i += atATime {
				conns[i], errs[w] = k.open(address)
			}
		})
	}
	all.Wait()
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return then()
}
