package http2

import (
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"indrik/internal/http2/http2test"
)

// A theirSide is the server of golang.org/x/net/http2, with an app that answers each request
// when it has come whole.
type theirSide struct {
	client  net.Conn
	noticed sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond
	// +checklocks:mu
	unsent []byte
	// +checklocks:mu
	gone bool // the connection is closed
	// +checklocks:mu
	side
}

// why is the reason of the last error.
func (p *theirSide) why() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

func newTheirSide() *theirSide {
	client, server := net.Pipe()
	p := &theirSide{client: client, side: side{fates: map[uint32]*fate{}}}
	p.changed.L = &p.mu
	client.SetDeadline(time.Now().Add(5 * time.Minute))
	quiet := &http.Server{ErrorLog: log.New(io.Discard, "", 0)}
	conf := &http2.Server{ //nolint:staticcheck // net/http has no server of one connection
		MaxConcurrentStreams: differentialStreams, MaxUploadBufferPerConnection: differentialWindow, MaxUploadBufferPerStream: differentialWindow,
		MaxReadFrameSize: minMaxFrame,
		CountError: func(what string) {
			p.mu.Lock()
			p.reason = what
			p.mu.Unlock()
		},
	}
	go func() {
		//nolint:staticcheck // as above
		conf.ServeConn(server, &http2.ServeConnOpts{Handler: p, BaseConfig: quiet})
	}()
	p.noticed.Go(p.read)
	p.noticed.Go(p.write)
	p.send([]byte(Preface))
	p.send(http2test.Frame(FrameSettings, 0, 0))
	p.send(http2test.Frame(FrameSettings, flagAck, 0))
	return p
}

func (p *theirSide) close() {
	p.client.Close() // that ends the server; after an error it takes a second
	p.noticed.Wait()
}

// read notes what the server sends.
func (p *theirSide) read() {
	framer := http2.NewFramer(nil, p.client)
	framer.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	for {
		frame, err := framer.ReadFrame()
		p.mu.Lock()
		if err == nil {
			p.note(frame)
		} else {
			p.gone = true
			if p.end == "" {
				p.end = "closed"
			}
		}
		p.changed.Broadcast()
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// send has a frame sent. After an error the server takes nothing more.
func (p *theirSide) send(b []byte) {
	p.mu.Lock()
	p.unsent = append(p.unsent, b...)
	p.changed.Broadcast()
	p.mu.Unlock()
}

// write sends what send was given, until the connection is closed.
func (p *theirSide) write() {
	for {
		p.mu.Lock()
		for len(p.unsent) == 0 && !p.gone {
			p.changed.Wait()
		}
		b := p.unsent
		p.unsent = nil
		p.mu.Unlock()
		if _, err := p.client.Write(b); err != nil || len(b) == 0 {
			return
		}
	}
}

// forget begins another step.
func (p *theirSide) forget() {
	p.mu.Lock()
	p.reason = ""
	p.mu.Unlock()
}

func (p *theirSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.Header.Get(http2test.Marker))
	p.mu.Lock()
	f := p.fate(uint32(id))
	f.request = text(r.Method, r.RequestURI, r.Host, r.Header)
	p.changed.Broadcast()
	p.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err == nil {
		p.mu.Lock()
		f.body, f.whole = string(body), true
		p.changed.Broadcast()
		p.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	}
}

// await waits until the server has seen all that was sent, and done what the other side has.
func (p *theirSide) await(ours *ourSide) {
	p.ping()
	p.mu.Lock()
	for id, our := range ours.fates {
		for f := p.fate(id); p.end == "" && f.reset == "" && f.status == "" && (f.request == "" || our.whole); {
			p.changed.Wait()
		}
	}
	p.mu.Unlock()
	p.ping() // it has sent the end of the last response
}

// syncPing is what a ping has that is not the script's.
var syncPing = [8]byte{'s', 'y', 'n', 'c'}

// ping waits for the answer to a ping.
func (p *theirSide) ping() {
	p.mu.Lock()
	before := p.pongs
	p.mu.Unlock()
	p.send(http2test.Frame(FramePing, 0, 0, syncPing[:]...))
	p.mu.Lock()
	for p.pongs == before && p.end == "" {
		p.changed.Wait()
	}
	p.mu.Unlock()
}
