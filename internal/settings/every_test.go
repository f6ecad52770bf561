package settings

import (
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// sample is a value of a setting that is not its default: as a word on the
// command line, as JSON brings it from the file, and what All has of it.
func sample(s *Setting, n int) (word string, fromFile, want any) {
	digit := string(rune('1' + n))
	if s.Name == "paste" { // it must be there
		name := []string{"doc.go", "/tmp", "/#section"}[n]
		return name, name, name
	}
	if s.Name == "admin_bind" {
		address := "127.0.0.1:900" + digit
		return address, address, address
	}
	if s.Name == "log_redact" {
		rule := "query:" + digit
		return rule, []any{rule}, []string{rule}
	}
	if s.Name == "warmup" {
		path := "/" + digit
		return path, []any{path}, []string{path}
	}
	if s.Name == "canary" {
		plan := "5%for1" + digit + "s"
		return plan, plan, plan
	}
	if s.Name == "health_path" {
		path := "/" + digit
		return path, path, path
	}
	switch s.Kind {
	case KindInt, KindCount, KindMode, KindUser, KindGroup:
		n += max(1, s.Min)
		return strconv.Itoa(n), float64(n), n
	case KindSize:
		size := digit + "G"
		return size, size, size
	case KindShare:
		share := digit + "0%"
		return share, share, share
	case KindCertReqs:
		return strconv.Itoa(n), float64(n), n
	case KindSeconds:
		seconds := float64(n) + 1.5
		return strconv.FormatFloat(seconds, 'f', -1, 64), seconds, seconds
	case KindProxyProtocol:
		mode := []string{"v1", "v2", "auto"}[n]
		return mode, mode, mode
	case KindCiphers:
		spec := []string{"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"}[n]
		return spec, spec, spec
	case KindTLSVersion:
		version := []string{"1.3", "1.2", "1.3"}[n]
		return version, version, version
	case KindProtocols:
		list := [][]string{{"h2"}, {"h2", "h1"}, {"h1", "h2"}}[n]
		return strings.Join(list, ","), strings.Join(list, ","), list
	case KindCleartext:
		mode := []string{"prior-knowledge", "off", "prior-knowledge"}[n]
		return mode, mode, mode
	case KindBool:
		return "", !s.Off, !s.Off
	case KindStrings, KindPairs:
		return "K=" + digit, []any{"K=" + digit}, []string{"K=" + digit}
	case KindAddresses:
		return "host:" + digit, []any{"host:" + digit}, []string{"host:" + digit}
	case KindCommaList:
		if s.Choices != nil {
			word := s.Choices[n%len(s.Choices)]
			return word, word, []string{word}
		}
		return "A" + digit, "A" + digit, []string{"A" + digit}
	case KindNetworks:
		return "10.0.0." + digit, "10.0.0." + digit, []string{"10.0.0." + digit}
	case KindPeers:
		peers := []string{"unix", "10.0.0.2", "*"}[n]
		return peers, peers, []string{peers}
	case KindMap:
		return "", map[string]any{"X": digit}, map[string]string{"X": digit}
	case KindDirectory:
		dir := []string{"/", "/tmp", "/usr"}[n]
		return dir, dir, dir
	case KindClass:
		name := []string{"gthread", "gunicorn.workers.sync.SyncWorker", "egg:gunicorn#gthread"}[n]
		return name, name, name
	case KindChoice:
		word := s.Choices[(n+1)%len(s.Choices)]
		return word, word, word
	case KindFiles:
		name := []string{"/*", "/tmp", "/"}[n]
		return name, []any{name}, []string{name}
	case KindDict:
		return "", map[string]any{"version": 1.0}, map[string]any{"version": 1.0}
	case KindPools:
		pool := map[string]any{"gpu": map[string]any{"app": "ml:Model", "workers": 2.0}}
		return "", pool, plain(pool)
	case KindSyslogAddr:
		addr := []string{"udp://host", "tcp://host:514", "unix:///dev/log#dgram"}[n]
		return addr, addr, addr
	case KindFacility:
		return "local" + digit, "local" + digit, "local" + digit
	case KindStatsdAddr:
		addr := []string{"host", "host:8126", "unix:///run/statsd"}[n]
		return addr, addr, addr
	}
	return "text" + digit, "text" + digit, "text" + digit
}

// Every setting, from every layer, alone and over the lower ones.
func TestEverySettingFromEveryLayer(t *testing.T) {
	for i := range Table {
		s := &Table[i]
		if s.Kind == KindHook {
			continue
		}
		_, inFile, wantFile := sample(s, 0)
		file := map[string]any{s.Name: inFile}
		switch s.Name { // and what they do not go without
		case "keyfile":
			file["certfile"] = "cert.pem"
		case "cert_reqs":
			file["ca_certs"] = "ca.pem"
		}
		c := resolve(t, layers(t, nil, file))
		if got := c.All()[s.Name]; !reflect.DeepEqual(got, wantFile) || c.Source(s.Name) != "gunicorn.conf.py" {
			t.Errorf("%s from the file: %#v from %s, want %#v", s.Name, got, c.Source(s.Name), wantFile)
		}
		delete(file, s.Name)
		c = resolve(t, layers(t, []string{s.Variable() + "=" + inVariable(t, inFile)}, file))
		file[s.Name] = inFile
		if got := c.All()[s.Name]; !reflect.DeepEqual(got, wantFile) || c.Source(s.Name) != s.Variable() {
			t.Errorf("%s: %#v from %s, want %#v", s.Variable(), got, c.Source(s.Name), wantFile)
		}
		inTOML := maps.Clone(file)
		inTOML[s.Name] = plain(inFile)
		text, err := toml.Marshal(map[string]any{"tool": map[string]any{"indrik": inTOML}})
		if err != nil {
			t.Fatal(err)
		}
		fromTOML, err := FromTOML("pyproject.toml", text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c = resolve(t, []Layer{fromTOML})
		if got := c.All()[s.Name]; pyRepr(got) != pyRepr(wantFile) || !strings.HasPrefix(c.Source(s.Name), "pyproject.toml, line ") {
			t.Errorf("%s from TOML: %#v from %s, want %#v", s.Name, got, c.Source(s.Name), wantFile)
		}
		for _, flag := range s.Flags {
			line := func(word string) string {
				if s.TakesValue() {
					return flag + " " + word
				}
				return flag
			}
			word, _, want := sample(s, 1)
			vars := []string{"GUNICORN_CMD_ARGS=" + line(word), s.Variable() + "=" + inVariable(t, inFile)}
			c = resolve(t, layers(t, vars, file))
			if got := c.All()[s.Name]; !reflect.DeepEqual(got, want) || c.Source(s.Name) != "GUNICORN_CMD_ARGS" {
				t.Errorf("%s from GUNICORN_CMD_ARGS: %#v from %s, want %#v", flag, got, c.Source(s.Name), want)
			}
			word, _, want = sample(s, 2)
			c = resolve(t, layers(t, vars, file, strings.Fields(line(word))...))
			if got := c.All()[s.Name]; !reflect.DeepEqual(got, want) || c.Source(s.Name) != "command line" {
				t.Errorf("%s from the command line: %#v from %s, want %#v", flag, got, c.Source(s.Name), want)
			}
			if !c.IsSet(s.Name) {
				t.Errorf("%s is not set", s.Name)
			}
		}
	}
}
