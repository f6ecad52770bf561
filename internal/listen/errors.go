package listen

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// What getaddrinfo(3) of glibc returns; Python shows it like an errno.
const (
	eaiNoName = "[Errno -2] Name or service not known"
	eaiAgain  = "[Errno -3] Temporary failure in name resolution"
)

// PythonError returns the error of [Open] as Python words it, for the line
// "connection to … failed: [Errno 98] Address already in use".
func PythonError(err error) string {
	var notSocket *NotSocketError
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.As(err, &notSocket):
		return notSocket.Error()
	case errors.Is(err, errTooLong):
		return errTooLong.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		return eaiNoName
	case errors.As(err, &dns):
		return eaiAgain
	case errors.As(err, &errno):
		text := errno.Error()
		return fmt.Sprintf("[Errno %d] %c%s", int(errno), text[0]-'a'+'A', text[1:])
	}
	return err.Error()
}
