//go:build linux

package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// A reading is what a server makes of the bytes of a connection.
type reading struct {
	Seen    [][2]string // methods and bodies of the requests that it has run
	Refused bool        // what came after them was answered with an error
}

func (r reading) String() string {
	if r.Refused {
		return fmt.Sprintf("%q, then an error", r.Seen)
	}
	return fmt.Sprintf("%q", r.Seen)
}

// marker is the request that follows each mutation: whoever sees it has seen the end
// of what was before it.
const marker = "GET /marker HTTP/1.1\r\nHost: a\r\n\r\n"

// An exception is a kind of request that is served here although two of the other
// servers refuse it, or one of them reads it in another way.
type exception struct {
	names  []string // of mutations
	reason string
}

var exceptions = []exception{
	{[]string{`"\r\n" before the method`, `"\r\n" after a value`},
		"one empty line before a request is to be ignored (RFC 9112 section 2.2), as gunicorn does"},
	{[]string{"coding gzip, chunked", "coding deflate, chunked", "codings in two fields"},
		"the chunks say where the body ends; the app gets it as it is, and the connection ends, as with gunicorn"},
	{[]string{"coding identity, chunked"},
		"identity is no coding (RFC 2616 section 3.6), and the chunks say where the body ends, as with gunicorn"},
}

// What is accepted here, gunicorn, h11, net/http and uvicorn accept, all but one of
// them at most, and read it in the same way. The exceptions are listed with a reason.
func TestDifferential(t *testing.T) {
	t.Parallel()
	python := harness.Venv(t)
	all := mutations()
	texts := make([]string, len(all))
	for i, m := range all {
		var latin1 strings.Builder
		for _, b := range []byte(m.text + marker) {
			latin1.WriteRune(rune(b))
		}
		texts[i] = latin1.String()
	}
	input, err := json.Marshal(texts)
	harness.Must(t, err)
	peers := exec.Command(python, "clients/peers.py")
	peers.Stdin = bytes.NewReader(input)
	var complaints strings.Builder
	peers.Stderr = &complaints
	output, err := peers.StdoutPipe()
	harness.Must(t, err)
	harness.Must(t, peers.Start())
	defer peers.Wait()

	s := harness.Start(t, harness.Options{App: "mirror:app", Args: []string{"--threads", "4", "--log-level", "error"}})
	other := httptest.NewUnstartedServer(http.HandlerFunc(mirror))
	other.Config.DisableGeneralOptionsHandler = true
	other.Start()
	defer other.Close()
	decoder := json.NewDecoder(output)
	used := map[string]bool{}
	accepted, refused := 0, 0
	for _, m := range all {
		var theirs map[string]reading
		if err := decoder.Decode(&theirs); err != nil {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		theirs["net/http"], err = readBy(other.Listener.Addr().String(), m.text+marker)
		harness.Must(t, err)
		ours, err := readBy(s.Address, m.text+marker)
		harness.Must(t, err)
		if len(ours.Seen) > 0 {
			accepted++
		}
		if ours.Refused {
			refused++
		}
		against := disagree(ours, theirs)
		if against == "" {
			continue
		}
		if isException(m.name) {
			used[m.name] = true
			continue
		}
		t.Errorf("%s: %q\nindrik: %v%s", m.name, m.text, ours, against)
	}
	for _, e := range exceptions {
		for _, name := range e.names {
			if !used[name] {
				t.Errorf("%s is no exception any more: %s", name, e.reason)
			}
		}
	}
	if accepted < len(all)/10 || refused < len(all)/3 {
		t.Errorf("of %d requests %d are accepted and %d refused: the test is broken", len(all), accepted, refused)
	}
	s.Terminate()
}

func isException(name string) bool {
	return slices.ContainsFunc(exceptions, func(e exception) bool { return slices.Contains(e.names, name) })
}

// disagree says how others read what is accepted here; "" if no more than one refuses
// it, and the others read the same.
func disagree(ours reading, theirs map[string]reading) string {
	refusals, others, text := 0, 0, ""
	for _, name := range []string{"gunicorn", "h11", "net/http", "uvicorn"} {
		r := theirs[name]
		text += fmt.Sprintf("\n%s: %v", name, r)
		n := min(len(r.Seen), len(ours.Seen))
		switch {
		case len(ours.Seen) > 0 && !slices.Equal(r.Seen[:n], ours.Seen[:n]):
			others++
		case len(ours.Seen) > n && r.Refused:
			refusals++
		}
	}
	if refusals < 2 && others == 0 {
		return ""
	}
	return text
}

// mirror is test/apps/mirror.py for net/http.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	text := make([]rune, len(body))
	for i, b := range body {
		text[i] = rune(b)
	}
	answer, _ := json.Marshal([2]string{r.Method, string(text)})
	w.Write(answer)
}

// readBy asks a server what it makes of the bytes of a connection, whose client then
// sends nothing more.
func readBy(addr, text string) (reading, error) {
	var got reading
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return got, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(harness.Patience))
	if _, err := c.Write([]byte(text)); err == nil {
		c.(*net.TCPConn).CloseWrite()
	}
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return got, nil
		}
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		if resp.StatusCode >= 300 {
			got.Refused = true
			return got, nil
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return got, nil
		}
		var seen [2]string
		if err := json.Unmarshal(body, &seen); err != nil {
			return got, fmt.Errorf("%q is no answer: %w", body, err)
		}
		got.Seen = append(got.Seen, seen)
	}
}
