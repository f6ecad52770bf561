package settings

import (
	"fmt"
	"go/format"
	"strings"
)

// handmade are the settings whose accessors are written by hand, because None, an
// empty text or a wrong word means another value.
var handmade = map[string]bool{"loglevel": true, "proc_name": true, "sendfile": true}

// goWords are the parts of names that Go writes in another way than with one capital.
var goWords = map[string]string{
	"asgi": "ASGI", "ascii": "ASCII", "ca": "CA", "http": "HTTP", "http2": "HTTP2", "id": "ID", "ips": "IPs", "json": "JSON",
	"ssl": "SSL", "tls": "TLS", "uwsgi": "UWSGI", "websocket": "WebSocket", "wsgi": "WSGI",
}

// GoName returns the name that the setting has in Go, as an accessor of [Config] and
// as a field: graceful_timeout is GracefulTimeout.
func (s *Setting) GoName() string {
	var b strings.Builder
	for word := range strings.SplitSeq(s.Name, "_") {
		if goWords[word] == "" {
			word = strings.ToUpper(word[:1]) + word[1:]
		} else {
			word = goWords[word]
		}
		b.WriteString(word)
	}
	return b.String()
}

// GoAccessors returns accessors.go: for each setting that Go code can read, a method
// of [Config] that returns the value.
func GoAccessors() string {
	var b strings.Builder
	b.WriteString("// Code generated from the table of settings by go generate ./internal/settings; DO NOT EDIT.\n\npackage settings\n")
	for i := range Table {
		s := &Table[i]
		typ := s.goType()
		if typ == "" || handmade[s.Name] {
			continue
		}
		expr := fmt.Sprintf("value[%s](c, %q)", typ, s.Name)
		if s.Kind == KindUser || s.Kind == KindGroup {
			expr = fmt.Sprintf("value[identity](c, %q).id", s.Name)
		}
		fmt.Fprintf(&b, "\n// %s returns the setting %s.\n//\n", s.GoName(), s.Name)
		for _, line := range wrap(unmarked(firstSentence(s.Doc)), 90) {
			fmt.Fprintf(&b, "// %s\n", line)
		}
		fmt.Fprintf(&b, "func (c *Config) %s() %s { return %s }\n", s.GoName(), typ, expr)
	}
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		panic(err) // a row that is no name in Go
	}
	return string(source)
}

// goType returns the type of the setting's values in Go, "" for those that only the
// Python processes read.
func (s *Setting) goType() string {
	switch s.Kind {
	case KindBool:
		return "bool"
	case KindInt, KindCount, KindMode, KindCertReqs, KindUser, KindGroup:
		return "int"
	case KindSeconds:
		return "float64"
	case KindMap:
		return "map[string]string"
	case KindStrings, KindPairs, KindAddresses, KindCommaList, KindNetworks, KindPeers, KindFiles, KindProtocols:
		return "[]string"
	case KindDict, KindPools, KindObject, KindAny, KindHook:
		return ""
	case KindString, KindDirectory, KindClass, KindChoice, KindLogFormat, KindSyslogAddr, KindFacility, KindStatsdAddr,
		KindProxyProtocol, KindCiphers, KindTLSVersion, KindCleartext, KindSize, KindShare:
		return "string"
	}
	panic(fmt.Sprintf("settings: kind %d has no type in Go", s.Kind))
}
