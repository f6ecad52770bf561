// Package otlp sends telemetry to a collector, by OTLP over HTTP with Protocol Buffers
// (https://opentelemetry.io/docs/specs/otlp/#otlphttp), to where the variables of the
// environment say that are the same for all programs
// (https://opentelemetry.io/docs/specs/otel/protocol/exporter/).
//
// It is what go.opentelemetry.io's otlptracehttp does, without the code for gRPC that this
// one links: that is four times as large as all the rest. What is sent is the caller's.
//
// A collector that is away or slow costs what was to be sent to it, and a line of the log
// when that begins and when it ends. Headers, in which secrets are, are never logged.
//
// Try it with go test ./internal/otlp.
package otlp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"indrik/internal/version"
)

// A Signal is a kind of telemetry.
type Signal struct {
	name  string // in variables
	path  string // below the endpoint of all signals
	items string // what the log calls what is sent
}

// The signals that are sent.
var (
	Traces  = Signal{"TRACES", "v1/traces", "spans"}
	Metrics = Signal{"METRICS", "v1/metrics", "metrics"}
)

// A Log takes lines for the operator.
type Log interface {
	Warnf(format string, args ...any)
}

// usualEndpoint is where a collector on the same machine listens.
const usualEndpoint = "http://localhost:4318"

// grpcPort is where collectors listen for another protocol.
const grpcPort = "4317"

// variables are those of the environment that are about one signal.
type variables struct {
	getenv func(string) string
	signal Signal
}

// exporter returns the name and the value of a variable of the exporter, that of the signal
// before that of all signals. An empty variable is as one that is not there.
func (v variables) exporter(what string) (name, value string) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + v.signal.name + "_" + what, "OTEL_EXPORTER_OTLP_" + what} {
		if value := strings.TrimSpace(v.getenv(name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// wanted reports whether the signal is to be sent: if a variable says to where, or that OTLP
// is to be used.
func (v variables) wanted() (bool, error) {
	if strings.EqualFold(strings.TrimSpace(v.getenv("OTEL_SDK_DISABLED")), "true") {
		return false, nil
	}
	name := "OTEL_" + v.signal.name + "_EXPORTER"
	chosen := strings.TrimSpace(v.getenv(name))
	_, endpoint := v.exporter("ENDPOINT")
	switch exporters := strings.Split(chosen, ","); {
	case chosen == "":
		return endpoint != "", nil
	case slices.Contains(exporters, "otlp"):
		return true, nil
	case chosen == "none":
		return false, nil
	default:
		return false, fmt.Errorf("%s=%s: the server sends otlp, or none", name, chosen)
	}
}

// New returns a sender of a signal, nil if the environment does not ask for one. The error
// names the variable that is wrong.
func New(getenv func(string) string, signal Signal, log Log) (*Sender, error) {
	v := variables{getenv, signal}
	if wanted, err := v.wanted(); !wanted || err != nil {
		return nil, err
	}
	if name, value := v.exporter("PROTOCOL"); value != "" && value != "http/protobuf" {
		return nil, fmt.Errorf("%s=%s: the server speaks http/protobuf alone", name, value)
	}
	s := &Sender{log: log, signal: signal, timeout: 10 * time.Second}
	var err error
	if s.url, err = v.endpoint(); err != nil {
		return nil, err
	}
	if s.header, err = v.headers(); err != nil {
		return nil, err
	}
	if name, value := v.exporter("TIMEOUT"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%s=%s: not a number of milliseconds", name, value)
		}
		s.timeout = time.Duration(n) * time.Millisecond
	}
	switch name, value := v.exporter("COMPRESSION"); value {
	case "gzip":
		s.gzip = true
	case "", "none":
	default:
		return nil, fmt.Errorf("%s=%s: the server knows gzip and none", name, value)
	}
	config, err := v.tls()
	if err != nil {
		return nil, err
	}
	s.client = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			MaxConnsPerHost: 1, IdleConnTimeout: time.Minute,
		},
		// The headers are for the collector that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// endpoint returns the URL of the signal. That of all signals is a base (RFC 3986 section
// 5.2); that of one signal is complete.
func (v variables) endpoint() (*url.URL, error) {
	name, value := v.exporter("ENDPOINT")
	if value == "" {
		value = usualEndpoint
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s: %q is no URL such as %s", name, value, usualEndpoint)
	}
	switch {
	case !strings.Contains(name, v.signal.name):
		u = u.JoinPath(v.signal.path)
	case u.Path == "":
		u.Path = "/"
	}
	return u, nil
}

// headers reads KEY=VALUE pairs with commas between them, and percent signs in the values.
func (v variables) headers() (http.Header, error) {
	header := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"indrik/" + version.Version}}
	name, value := v.exporter("HEADERS")
	for pair := range strings.SplitSeq(value, ",") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		key, text, found := strings.Cut(pair, "=")
		text, err := url.PathUnescape(strings.TrimSpace(text))
		key = strings.TrimSpace(key)
		if err != nil || !found || key == "" || strings.ContainsFunc(key, notInName) || strings.ContainsFunc(text, notInValue) {
			return nil, fmt.Errorf("%s: not a list such as api-key=secret,other=value", name)
		}
		header.Set(key, text)
	}
	return header, nil
}

// notInName reports whether a field's name cannot have a character (RFC 9110 section 5.6.2).
func notInName(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
}

func notInValue(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// tls reads the certificates of the collector's authority and of this client.
func (v variables) tls() (*tls.Config, error) {
	config := &tls.Config{}
	if name, path := v.exporter("CERTIFICATE"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s has no certificate in it", name, path)
		}
	}
	name, certificate := v.exporter("CLIENT_CERTIFICATE")
	keyName, key := v.exporter("CLIENT_KEY")
	switch {
	case certificate == "" && key == "":
		return config, nil
	case certificate == "" || key == "":
		return nil, errors.New(name + keyName + ": a client's certificate and its key need each other")
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
