package front

import (
	"os"

	"golang.org/x/sys/unix"
)

// A receiver receives messages with descriptors. It is kept and reused, since
// recvmsg(2) wants structures that would have to be allocated each time.
type receiver struct {
	n, oobn int // bytes of the message, and of its control data
	err     error
	oob     [64]byte // room for more descriptors than a message ever has
	recvmsg
}

// file is the descriptor that came with the message, nil if none did. The
// caller owns it.
func (r *receiver) file() *os.File {
	if r.err != nil || r.oobn == 0 {
		return nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(r.oob[:r.oobn])
	if err != nil {
		return nil
	}
	var file *os.File
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if file == nil {
				unix.CloseOnExec(fd)
				file = os.NewFile(uintptr(fd), "received")
			} else {
				unix.Close(fd)
			}
		}
	}
	return file
}
