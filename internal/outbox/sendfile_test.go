package outbox

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
)

// A referrer is a client whose transport sends files as sendfile(2) does: what has been sent
// is still a reference to the file until the client has read it.
type referrer struct {
	*client
	sent []FilePart
}

func (r *referrer) SendFile(head []byte, p FilePart) (int, error) {
	if err := r.Send(head); err != nil {
		return 0, err
	}
	fd, err := syscall.Dup(int(p.File.Fd()))
	if err != nil {
		return 0, err
	}
	p.File = os.NewFile(uintptr(fd), p.File.Name())
	r.sent = append(r.sent, p)
	return int(p.Size), nil
}

// What was sent from the temporary file stays as it is: a client that reads slowly must not
// get bytes of a later part in its place.
func TestSentPartsOfFilesStayAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &referrer{client: newClient(t, plenty)}
		r.o.SetTransport(r)
		r.o.Begin(false)
		// gate keeps something that waits until it is opened.
		gate := func() (reached, open chan struct{}) {
			reached, open = make(chan struct{}), make(chan struct{})
			r.o.Push(func() error {
				close(reached)
				<-open
				return nil
			})
			return reached, open
		}
		reached, open := gate()
		r.o.Wake()
		<-reached
		first, second := bytes.Repeat([]byte("1"), maxMemory+10*pieceSize), bytes.Repeat([]byte("2"), maxMemory+20*pieceSize)
		r.o.Write(first)
		allSent, openEnd := gate()
		close(open)
		<-allSent
		parts := len(r.sent)
		r.o.Write(second)
		close(openEnd)
		r.o.Finish(false)
		synctest.Wait()
		r.expect(string(append(first[:maxMemory:maxMemory], second[:maxMemory]...)))
		if parts == 0 || len(r.sent) == parts {
			t.Fatalf("%d parts of files were sent, %d of them first", len(r.sent), parts)
		}
		for i, p := range r.sent {
			want := "2"
			if i < parts {
				want = "1"
			}
			content := make([]byte, p.Size)
			if _, err := p.File.ReadAt(content, p.Offset); err != nil || string(content) != string(bytes.Repeat([]byte(want), len(content))) {
				t.Errorf("part %d of what was sent begins with %.8q, want %q: %v", i, content, want, err)
			}
			p.File.Close()
		}
	})
}
