package master

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/pathwalk"
	"indrik/internal/settings"
)

const (
	// minToken is how many characters a token has at least; 16 of them cannot be guessed at
	// the rate at which they are tried.
	minToken = 16
	// wrongDelay is how long after a wrong token the answer comes, and wrongMost how many such
	// answers there may be to come: so many tokens can be tried in that time.
	wrongDelay = time.Second
	wrongMost  = 8
	// wrongSummary is how often, at most, the log tells of wrong tokens.
	wrongSummary = 10 * time.Second
)

// A token is what a client at the admin address has to know in order to give commands: the
// digest of it.
type token [sha256.Size]byte

// readToken reads the file that cfg names; nil if it names none. The current directory must
// be that of cfg.
func readToken(cfg *settings.Config) (*token, error) {
	path := cfg.AdminTokenFile()
	if path == "" || cfg.AdminBind() == "" {
		return nil, nil
	}
	data, err := pathwalk.ReadChecked(path, func(st os.FileInfo) error { return checkToken(st, cfg) })
	if err != nil {
		return nil, fmt.Errorf("admin_token_file: %w", err)
	}
	data = bytes.TrimSpace(data)
	if len(data) < minToken || bytes.ContainsFunc(data, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("admin_token_file: %s has to hold one token: %d characters or more, of those that ASCII can print, without spaces", path, minToken)
	}
	t := token(sha256.Sum256(data))
	return &t, nil
}

// checkToken says who could read the token of a file that must not.
func checkToken(st os.FileInfo, cfg *settings.Config) error {
	if st.Mode().Perm()&0o007 != 0 {
		return fmt.Errorf("everybody on this machine can read or change %s, which has mode %04o: use chmod 600", cfg.AdminTokenFile(), st.Mode().Perm())
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	workers := cfg.WorkerAccount()
	switch {
	case !ok || workers.UID == os.Geteuid(): // then they can be kept from nothing
	case int(sys.Uid) == workers.UID:
		return fmt.Errorf("%s belongs to the user of the workers, who run the app: use chown root", cfg.AdminTokenFile())
	case int(sys.Gid) == workers.GID && st.Mode().Perm()&0o060 != 0:
		return fmt.Errorf("%s can be read by the group of the workers, who run the app: use chmod 600", cfg.AdminTokenFile())
	}
	return nil
}

// readToken reads the token file, and reports whether it is good; c has failed if it is not.
func (c *candidate) readToken() bool {
	var err error
	if c.token, err = readToken(c.cfg); err != nil {
		c.fail(&failure{text: "\nError: " + err.Error(), code: exitcode.Config})
		return false
	}
	return true
}

// is reports whether a client has given the token, in a time that does not tell how much of
// it is right.
func (t *token) is(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(t[:], sum[:]) == 1
}

// wrongTokens are the tries with wrong tokens.
type wrongTokens struct {
	answers int // to come
	untold  int // that the log has not told of, since it told of one
	last    string
	telling bool // it will
}

var (
	errNoToken      = errors.New("commands are not taken here: there is no admin_token_file")
	errWrongToken   = errors.New("the token is wrong")
	errTooManyTries = errors.New("too many wrong tokens: try again later")
)

// wrongToken answers a command that came with a wrong token, later.
func (m *Master) wrongToken(client string, answer func()) {
	w := &m.admin.wrong
	w.answers++
	m.after(wrongDelay, func() {
		w.answers--
		answer()
	})
	w.last = client
	if w.telling {
		w.untold++
		return
	}
	w.telling = true
	m.log.Warnf("Admin address: a command with a wrong token was refused (%s)", client)
	m.after(wrongSummary, func() {
		if w.untold > 0 {
			m.log.Warnf("Admin address: %d more commands with wrong tokens were refused within %s, the last one of %s", w.untold, wrongSummary, w.last)
		}
		w.telling, w.untold = false, 0
	})
}
