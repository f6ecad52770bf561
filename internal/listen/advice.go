package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Hopeless reports whether [Open] would fail in the same way if it were tried again: a
// name that does not exist, a socket in no directory.
func Hopeless(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound || errors.Is(err, fs.ErrNotExist)
}

// Advice says what to do about an error of [Open]; "" if there is nothing to say
// besides the error.
func Advice(a Address, err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && strings.Trim(a.Host, "0123456789") == "":
		return fmt.Sprintf("%s is the name of a host here; for the port write --bind :%s", quote(a.Host), a.Host)
	case errors.As(err, &dns):
		return fmt.Sprintf("There is no host %s, or nobody could be asked: see --bind", quote(a.Host))
	case errors.Is(err, syscall.EADDRINUSE):
		who := "Another program listens on " + a.bind()
		if owner := Owner(a); owner != "" {
			who += " (" + owner + ")"
		}
		return who + ". Stop it, or choose another --bind"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("No network interface of this machine has the address %s; 0.0.0.0 means all of them", a.Host)
	case a.Network == Unix && errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(a.Path)); err != nil {
			return fmt.Sprintf("The directory of %s does not exist", a.Path)
		}
	case a.Network == TCP && a.Port < 1024 && errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("Ports below 1024 need the right to bind them: start as root with --user, give the binary "+
			"CAP_NET_BIND_SERVICE, or choose another port than %d", a.Port)
	}
	return ""
}
