package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/gateway"
	"indrik/internal/listen"
	"indrik/internal/master"
	"indrik/internal/settings"
)

// healthTimeout bounds a check. Docker's own limit is 30 seconds, that of a probe of
// Kubernetes one.
const healthTimeout = 5 * time.Second

// healthcheck asks the server on this machine whether it is ready, for the HEALTHCHECK of an
// image: `indrik healthcheck [OPTIONS]`. The options and variables are those of the server,
// of which admin_bind counts, and where there is none bind, health_path and certfile; a config
// file is not read, since that takes Python. The exit code is 0 if it is ready, else 1.
func healthcheck(args, environ []string, stdout, stderr io.Writer) int {
	cfg, err := healthSettings(args, environ)
	if err != nil {
		return tell(err, stdout, stderr)
	}
	if err := askHealth(cfg); err != nil {
		fmt.Fprintf(stderr, "indrik healthcheck: %s\n", err)
		return exitcode.Config
	}
	io.WriteString(stdout, "ready\n")
	return exitcode.OK
}

func healthSettings(args, environ []string) (*settings.Config, error) {
	var o master.Options
	if err := readLayers(&o, args, environ); err != nil {
		return nil, err
	}
	return settings.Resolve(o.App, o.Env, o.Vars, o.CmdArgs, o.Args)
}

// askHealth returns nil if the server is ready: by its admin address, or by the first address
// of bind where HTTP is spoken.
func askHealth(cfg *settings.Config) error {
	bind, scheme, path := cfg.AdminBind(), "http", ""
	if bind == "" {
		if path = cfg.HealthPath(); path == "" {
			return errors.New("set admin_bind or health_path, such as INDRIK_ADMIN_BIND=127.0.0.1:9000 or INDRIK_HEALTH_PATH=/-/health, for the server and for the check")
		}
		var ok bool
		if bind, ok = firstHTTP(cfg); !ok {
			return errors.New("no address of bind speaks HTTP: name one by --bind, or the admin address")
		}
		if cfg.Certfile() != "" {
			scheme = "https"
		}
	}
	address, err := listen.Parse(bind)
	if err != nil {
		return err
	}
	network, target := "tcp", net.JoinHostPort(reachable(address.Host), strconv.Itoa(address.Port))
	switch address.Network {
	case listen.Unix:
		network, target = "unix", address.Path
	case listen.FD:
		return errors.New("bind is a descriptor: name the address by --bind")
	}
	client := http.Client{
		Timeout: healthTimeout,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, target)
			},
			// It is this machine's own server, whatever name its certificate has.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
	}
	r, err := client.Get(scheme + "://localhost" + path + "/readyz")
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<10))
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says %s: %s", target, r.Status, strings.TrimSpace(string(body)))
	}
	var answer struct {
		OK bool `json:"ok"`
	}
	if json.Unmarshal(body, &answer) != nil || !answer.OK {
		return fmt.Errorf("%s%s/readyz is answered by something else: the server there has another health_path or admin_bind", target, path)
	}
	return nil
}

// reachable is the address by which a server that listens on host is reached from its own
// machine.
func reachable(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() || host == "" {
		if ip.Is6() {
			return "::1"
		}
		return "127.0.0.1"
	}
	return host
}

// firstHTTP returns the first address of bind where HTTP is spoken.
func firstHTTP(cfg *settings.Config) (bind string, ok bool) {
	usual, _ := gateway.ParseProtocol(cfg.Protocol())
	for _, bind := range cfg.Bind() {
		protocol, given, address := gateway.SplitAddress(bind)
		if !given {
			protocol = usual
		}
		if protocol == gateway.HTTP {
			return address, true
		}
	}
	return "", false
}
