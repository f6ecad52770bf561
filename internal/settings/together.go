package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"indrik/internal/http1"
	"indrik/internal/listen"
	"indrik/internal/redact"
	"indrik/internal/tlsconf"
)

// prior is the http2_cleartext for HTTP/2 without TLS.
const prior = "prior-knowledge"

// together checks the values against each other.
func (c *Config) together() error {
	if level := value[string](c, "loglevel"); !knownLevel(level) {
		c.warn("unknown loglevel %s (%s): info is used", pyRepr(level), c.Source("loglevel"))
	}
	if c.Kind() == WorkerASGI && c.Threads() > 1 {
		c.warn("ASGI worker does not use threads configuration. Use worker_connections instead.")
	}
	if c.LogFormat() != "text" && c.IsSet("access_log_format") {
		c.warn("access_log_format (%s) has no effect: log_format is %s", c.Source("access_log_format"), c.LogFormat())
	}
	if c.Workers() == 0 {
		c.warn("workers is 0 (%s): nothing will be served, and clients get 503, until TTIN adds a worker", c.Source("workers"))
	}
	if c.ScaleDownDelay() < 1 {
		return c.wrong("scale_down_delay", errors.New("less than 1 second: the load is looked at twice in a second"))
	}
	if text := c.ServerHeader(); text != "" && !http1.IsServerValue(text) {
		return c.wrong("server_header", errors.New("not the value of a header field: printable characters of ASCII, without spaces around them"))
	}
	if path := c.HealthPath(); path != "" && (!strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "?# %")) {
		return c.wrong("health_path", errors.New("not a path such as /-/health: it begins with a slash, does not end with one, and has neither a query nor an escape"))
	}
	if _, err := redact.Parse(c.LogRedact()); err != nil {
		return c.wrong("log_redact", err)
	}
	if name := c.RequestIDHeader(); name != "" && !mayCarryID(name) {
		return c.wrong("request_id_header", errors.New("not a name for this, such as X-Request-Id: letters, digits and dashes, and no field that has another meaning"))
	}
	c.checkHTTP2()
	c.checkUsers()
	if err := c.checkAdmin(); err != nil {
		return err
	}
	if err := c.checkSelfCare(); err != nil {
		return err
	}
	if err := c.checkPoolSettings(); err != nil {
		return err
	}
	return c.checkTLS()
}

func (c *Config) warn(format string, args ...any) {
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

// wrong is the error that the value of a setting is no good.
func (c *Config) wrong(name string, err error) error {
	return &ValueError{Setting: name, Value: c.get(name), Source: c.Source(name), InFile: c.inFile[name], Err: err}
}

// TLS reports whether the server speaks TLS.
func (c *Config) TLS() bool { return c.Certfile() != "" }

// checkAdmin reports what is wrong with admin_bind, and who can reach it that perhaps should
// not.
func (c *Config) checkAdmin() error {
	if c.AdminBind() == "" {
		for _, name := range []string{"admin_allow", "admin_hosts", "admin_token_file"} {
			if c.IsSet(name) && c.Print(name) != pyStr(Lookup(name).Default) {
				c.warn("%s (%s) has no effect: there is no admin_bind", name, c.Source(name))
			}
		}
		return nil
	}
	address, err := listen.Parse(c.AdminBind())
	switch {
	case err != nil:
		return c.wrong("admin_bind", err)
	case address.Network == listen.FD:
		return c.wrong("admin_bind", errors.New("not HOST:PORT or unix:PATH: the server opens this address itself"))
	case address.Network == listen.TCP && !strings.Contains(strings.TrimPrefix(c.AdminBind(), "tcp://"), ":"):
		return c.wrong("admin_bind", errors.New("there is no port: it is HOST:PORT or unix:PATH"))
	}
	for _, bind := range c.Bind() {
		if other, err := listen.Parse(bind); err == nil && other == address && (address.Network == listen.Unix || address.Port != 0) {
			return c.wrong("admin_bind", errors.New("clients have this address: it is in bind"))
		}
	}
	if address.Network == listen.TCP && !address.IsLoopback() && c.AdminTokenFile() == "" {
		c.warn("admin_bind (%s) is %s, which other machines may reach: admin_allow is %s; commands are not taken there, since there is no admin_token_file",
			c.Source("admin_bind"), c.AdminBind(), strings.Join(c.AdminAllow(), ","))
	}
	return nil
}

// checkTLS reports settings with which TLS, or a part of it, would silently be off.
func (c *Config) checkTLS() error {
	if !c.TLS() && c.Keyfile() != "" {
		return c.wrong("keyfile", errors.New("keyfile is set but certfile is not: without a certificate there is no TLS"))
	}
	if n := c.CertReqs(); n > 0 && c.CACerts() == "" {
		return c.wrong("cert_reqs", fmt.Errorf("cert_reqs is %d but ca_certs is not set: "+
			"it has to name the CAs that the certificates of clients may come from", n))
	}
	for _, name := range []string{"cert_reqs", "ca_certs", "ciphers", "tls_min_version"} {
		if !c.TLS() && c.IsSet(name) && c.Print(name) != pyStr(Lookup(name).Default) {
			c.warn("%s (%s) has no effect: without certfile there is no TLS", name, c.Source(name))
		}
	}
	if spec := c.Ciphers(); spec != "" {
		if _, dropped, _ := tlsconf.Ciphers(spec); len(dropped) > 0 {
			c.warn("ciphers (%s): left out, for Go does not have them: %s", c.Source("ciphers"), strings.Join(dropped, ", "))
		}
	}
	return nil
}

// checkHTTP2 warns of settings that do not reach what they ask for.
func (c *Config) checkHTTP2() {
	h2 := c.speaks("h2")
	switch {
	case h2 && !c.TLS() && c.HTTP2Cleartext() != prior:
		c.warn("h2 in http_protocols (%s) has no effect: HTTP/2 needs TLS, see certfile, or http2_cleartext = '%s'",
			c.Source("http_protocols"), prior)
	case !h2 && c.HTTP2Cleartext() == prior:
		c.warn("http2_cleartext (%s) has no effect: h2 is not in http_protocols", c.Source("http2_cleartext"))
	}
}

func (c *Config) speaks(protocol string) bool {
	return slices.Contains(c.HTTPProtocols(), protocol)
}
