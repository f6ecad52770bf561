package master

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/settings"
	"indrik/internal/tlsconf"
	"indrik/internal/wire"
)

// certificateLook is how often the files of a certificate are looked at. The kernel does
// not report every change that matters: links, renames, mounts, other hosts.
const certificateLook = 2 * time.Second

// tlsKeys are what the master keeps for TLS besides the certificates of generations.
type tlsKeys struct {
	base
	tickets tickets
	watcher *time.Timer // runs watchCertificates
	rotator *time.Timer // runs rotateTickets
}

// certificates are the certificate, the key and the authorities of one generation.
type certificates struct {
	server  *tlsconf.Server // as the front's: what it takes, that takes
	secrets *tlsconf.Secrets
	files   [3]string // certfile, keyfile and ca_certs, absolute; "" if not set
	watch   watch
}

// read reads the files that cfg names; nil without TLS. The current
// directory must be that of cfg.
func (t *tlsKeys) read(cfg *settings.Config) (*certificates, error) {
	front := cfg.Front()
	if front.TLS == nil {
		return nil, nil
	}
	c := &certificates{server: tlsconf.NewServer(front.TLS, tlsconf.Protocols(front))}
	asked := [3]string{cfg.Certfile(), cfg.Keyfile(), cfg.CACerts()}
	for i, path := range asked {
		if path == "" {
			continue
		}
		var err error
		if c.files[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	// Looked at before they are read, so that no change in between is missed.
	c.watch = newWatch(c.look())
	_, err := t.take(c, asked)
	return c, err
}

// take reads the files, and reports whether their content is new. After an error nothing
// has changed.
func (t *tlsKeys) take(c *certificates, files [3]string) (bool, error) {
	secrets, warnings, err := tlsconf.Read(files[0], files[1], files[2])
	if err == nil {
		err = c.server.Update(secrets)
	}
	if err != nil || c.secrets != nil && secrets.Same(c.secrets) {
		return false, err
	}
	for _, w := range warnings {
		t.log.Warnf("%s", w)
	}
	c.secrets = secrets
	return true, nil
}

// secretsFile returns the memory file by which the front gets certs and the session ticket
// keys. The caller closes it.
func (t *tlsKeys) secretsFile(certs *certificates) (*os.File, error) {
	secrets := *certs.secrets
	secrets.Tickets = t.tickets.secrets(t.now())
	return secrets.File()
}

// watchCertificates looks at the files of the generation that serves, from now
// on. Without TLS there is no timer that would wake an idle master.
func (m *Master) watchCertificates() {
	if m.tls.watcher != nil {
		m.tls.watcher.Stop()
	}
	if m.gen.certs == nil || m.state == draining || m.state == quitting {
		return
	}
	m.tls.watcher = m.after(certificateLook, func() {
		if c := m.gen.certs; c != nil && c.watch.changed(c.look()) {
			m.renewCertificates(m.gen)
		}
		m.watchCertificates()
	})
}

// renewCertificates gives the front the certificate that is in the files now, if it can be
// used.
func (m *Master) renewCertificates(g *generation) {
	fresh, err := m.tls.take(g.certs, g.certs.files)
	switch {
	case err != nil:
		m.log.Errorf("The certificate files have changed and cannot be used, the certificate before stays: %s", err)
	case fresh:
		m.sendSecrets(g)
		m.log.Infof("The certificate files have changed: new connections get the certificate of %s", g.certs.secrets)
	}
}

// sendSecrets gives the front the present certificate and session ticket keys of
// a generation that it knows.
func (m *Master) sendSecrets(g *generation) {
	if m.front.current == nil {
		return
	}
	secrets, err := m.tls.secretsFile(g.certs)
	if err != nil {
		m.log.Errorf("The front goes on with its certificate: %s", err)
		return
	}
	defer secrets.Close()
	m.front.send(wire.ToFront{Type: wire.TypeSecrets, Generation: g.number}, secrets)
}

// A fileState identifies a file and its last change.
type fileState struct {
	dev, ino       uint64
	size           int64
	written, moded unix.Timespec
	err            string
}

// look looks at the files, through symbolic links.
func (c *certificates) look() (now [3]fileState) {
	for i, path := range c.files {
		var st unix.Stat_t
		if path == "" {
			continue
		}
		if err := unix.Stat(path, &st); err != nil {
			now[i].err = err.Error()
			continue
		}
		now[i] = fileState{dev: uint64(st.Dev), ino: uint64(st.Ino), size: st.Size, written: st.Mtim, moded: st.Ctim}
	}
	return now
}

// A watch decides when changed files are to be read: not while somebody is still writing
// the certificate and the key, one after the other, but when the files have stayed the same
// from one look to the next. Each change is read once, whether it can be used or not.
type watch struct {
	read, last [3]fileState
}

func newWatch(now [3]fileState) watch { return watch{now, now} }

// changed takes a look at the files, and reports whether to read them.
func (w *watch) changed(now [3]fileState) bool {
	settled := now == w.last
	w.last = now
	if !settled || now == w.read {
		return false
	}
	w.read = now
	return true
}
