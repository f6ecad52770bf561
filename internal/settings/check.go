package settings

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/gateway"
	"indrik/internal/listen"
)

// check turns a value into the type of the setting's kind. base is the
// directory that a relative path starts from.
func check(s *Setting, v any, base string) (any, error) {
	if bad, ok := v.(badValue); ok {
		return nil, errors.New(bad.text)
	}
	switch s.Kind {
	case KindString, KindLogFormat:
		return checkString(v)
	case KindInt, KindCertReqs:
		return checkInt(s, v, parseAnyBase)
	case KindCount:
		return checkCount(s, v)
	case KindSize, KindShare:
		return checkAmount(s, v)
	case KindSeconds:
		return checkSeconds(v)
	case KindMode:
		return checkInt(s, v, parseMode)
	case KindBool:
		return checkBool(v)
	case KindStrings:
		return checkStrings(v)
	case KindPairs:
		return checkPairs(v)
	case KindAddresses:
		return checkAddresses(v)
	case KindCommaList:
		return checkWords(s, v)
	case KindNetworks:
		return checkNetworks(v)
	case KindPeers:
		return checkPeers(v)
	case KindMap:
		return checkMap(v)
	case KindDirectory:
		return checkDirectory(v, base)
	case KindUser:
		return checkUser(v)
	case KindGroup:
		return checkGroup(v)
	case KindClass:
		return checkClass(v)
	case KindChoice:
		return checkChoice(s, v)
	case KindFiles:
		return checkFiles(v, base)
	case KindDict:
		return checkDict(v)
	case KindPools:
		return checkPools(v)
	case KindObject:
		return checkObject(v)
	case KindSyslogAddr:
		return checkSyslogAddr(v)
	case KindFacility:
		return checkFacility(v)
	case KindStatsdAddr:
		return checkStatsdAddr(v)
	case KindProxyProtocol:
		return checkProxyProtocol(v)
	case KindCiphers:
		return checkCiphers(v)
	case KindTLSVersion:
		return checkTLSVersion(v)
	case KindProtocols:
		return checkProtocols(v)
	case KindCleartext:
		return checkCleartext(v)
	case KindAny:
		return checkAny(v)
	case KindHook:
		return v, nil
	}
	panic(fmt.Sprintf("settings: kind %d has no check", s.Kind))
}

func checkString(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return strings.TrimSpace(v), nil
	}
	return nil, fmt.Errorf("Not a string: %s", pyStr(v))
}

// parseAnyBase reads a number with Python's prefixes.
func parseAnyBase(s string) (int, error) { return parseInt(s, 0) }

func checkInt(s *Setting, v any, parse func(string) (int, error)) (any, error) {
	if v == nil && s.Default == nil {
		return nil, nil
	}
	n, err := wholeNumber(v, parse)
	switch {
	case err != nil:
		return nil, err
	case n < 0 && s.Min == 0:
		return nil, fmt.Errorf("Value must be positive: %d", n)
	case n < s.Min || s.Max > 0 && n > s.Max:
		return nil, fmt.Errorf("%s must be between %d and %d, got %d", s.Name, s.Min, s.Max, n)
	}
	return n, nil
}

func checkSeconds(v any) (any, error) {
	var n float64
	switch v := v.(type) {
	case int:
		n = float64(v)
	case float64:
		n = v
	case string:
		var err error
		if n, err = parseFloat(v); err != nil {
			return nil, fmt.Errorf("could not convert string to float: %s", pyRepr(v))
		}
	default:
		return nil, fmt.Errorf("Not a number: %s", pyStr(v))
	}
	switch {
	case math.IsNaN(n), math.IsInf(n, 0):
		return nil, fmt.Errorf("Not a number of seconds: %s", pyStr(v))
	case n < 0:
		return nil, fmt.Errorf("Value must be positive: %s", strconv.FormatFloat(n, 'g', -1, 64))
	}
	return n, nil
}

func wholeNumber(v any, parse func(string) (int, error)) (int, error) {
	switch v := v.(type) {
	case int:
		return v, nil
	case bool: // is an int in Python
		if v {
			return 1, nil
		}
		return 0, nil
	case string:
		n, err := parse(v)
		if err != nil {
			return 0, fmt.Errorf("invalid literal for int() with base 0: %s", pyRepr(v))
		}
		return n, nil
	}
	return 0, fmt.Errorf("Not a whole number: %s", pyStr(v))
}

func checkBool(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool:
		return v, nil
	case string:
		switch strings.TrimSpace(strings.ToLower(v)) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("Invalid boolean: %s", v)
	}
	return nil, fmt.Errorf("Invalid type for casting: %s", pyStr(v))
}

func checkStrings(v any) ([]string, error) {
	switch v := v.(type) {
	case []string:
		list := make([]string, len(v))
		for i, s := range v {
			list[i] = strings.TrimSpace(s)
		}
		return list, nil
	case string:
		if v == "" {
			return nil, nil
		}
		return []string{strings.TrimSpace(v)}, nil
	case nil:
		return nil, nil
	case []any: // plain leaves a list so when an item of it is no string
		for _, item := range v {
			if _, ok := item.(string); !ok {
				return nil, fmt.Errorf("Not a string: %s", pyStr(plain(item)))
			}
		}
	case bool:
		if !v {
			return nil, nil
		}
	case int:
		if v == 0 {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("Not a string: %s", pyStr(v))
}

// checkPairs refuses what is not KEY=VALUE.
func checkPairs(v any) ([]string, error) {
	list, err := checkStrings(v)
	for _, s := range list {
		if !strings.Contains(s, "=") {
			return nil, fmt.Errorf("environment setting %s invalid", pyRepr(s))
		}
	}
	return list, err
}

func checkAddresses(v any) ([]string, error) {
	list, err := checkStrings(v)
	for _, s := range list {
		_, _, address := gateway.SplitAddress(s)
		if _, err := listen.Parse(address); err != nil {
			return nil, err
		}
	}
	return list, err
}

func checkCommaList(v any) ([]string, error) {
	s, err := checkString(v)
	if err != nil {
		return nil, err
	}
	text, _ := s.(string)
	var list []string
	for part := range strings.SplitSeq(text, ",") {
		if part != "" {
			list = append(list, strings.TrimSpace(part))
		}
	}
	return list, nil
}

// checkWords takes a list of words: any, or those that the setting has.
func checkWords(s *Setting, v any) (any, error) {
	if list, ok := v.([]string); ok && s.Choices != nil {
		v = strings.Join(list, ",")
	}
	list, err := checkCommaList(v)
	if err != nil || s.Choices == nil {
		return list, err
	}
	for _, word := range list {
		if !slices.Contains(s.Choices, word) {
			return nil, fmt.Errorf("%s: %s is none of: %s", s.Name, pyRepr(word), strings.Join(s.Choices, ", "))
		}
	}
	return list, nil
}

func checkNetworks(v any) ([]string, error) { return checkNetworksAnd(v, "*") }

// checkPeers takes networks, and the peers of unix sockets, which have no address.
func checkPeers(v any) ([]string, error) { return checkNetworksAnd(v, "*", PeersUnix) }

// PeersUnix is what stands for the peers of unix sockets in a list of peers.
const PeersUnix = "unix"

func checkNetworksAnd(v any, words ...string) ([]string, error) {
	list, err := checkCommaList(v)
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		if slices.Contains(words, s) {
			continue
		}
		if list[i], err = checkNetwork(s); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// checkNetwork accepts what Python's ipaddress.ip_network does, and writes a
// netmask as a prefix length.
func checkNetwork(s string) (string, error) {
	invalid := fmt.Errorf("%s does not appear to be an IPv4 or IPv6 network", pyRepr(s))
	host, mask, ok := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", invalid
	}
	if !ok {
		return s, nil
	}
	bits, err := prefixLength(addr, mask)
	if err != nil {
		return "", invalid
	}
	prefix := netip.PrefixFrom(addr.WithZone(""), bits)
	if !prefix.IsValid() {
		return "", invalid
	}
	if prefix.Masked() != prefix {
		return "", fmt.Errorf("%s has host bits set", s)
	}
	return prefix.String(), nil
}

func prefixLength(addr netip.Addr, mask string) (int, error) {
	if strings.Trim(mask, "0123456789") == "" {
		return strconv.Atoi(mask)
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() || !addr.Is4() {
		return 0, errNotInt
	}
	a := m.As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	if n != 0 && n&(1<<31) == 0 { // a host mask, such as 0.0.0.255
		n = ^n
	}
	bits := 0
	for ; n&(1<<31) != 0; n <<= 1 {
		bits++
	}
	if n != 0 {
		return 0, errNotInt
	}
	return bits, nil
}

func checkMap(v any) (any, error) {
	switch v := v.(type) {
	case map[string]string:
		return v, nil
	case map[string]any:
		for key, item := range v {
			if _, ok := item.(string); !ok {
				return nil, fmt.Errorf("Not a string: %s, the value of %s", pyStr(plain(item)), pyRepr(key))
			}
		}
	}
	return nil, fmt.Errorf("Value is not a dictionary: %s ", pyStr(v))
}

func checkDirectory(v any, base string) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("Not a string: %s", pyStr(v))
	}
	path := strings.TrimSpace(s)
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	path = filepath.Clean(path)
	if st, err := os.Stat(path); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("can't chdir to %s", pyRepr(strings.TrimSpace(s)))
	}
	return path, nil
}

// checkChoice takes None for the default, as Gunicorn does.
func checkChoice(s *Setting, v any) (any, error) {
	if v == nil {
		return s.Default, nil
	}
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("Invalid type for casting: %s", pyStr(v))
	}
	if word := strings.TrimSpace(strings.ToLower(text)); slices.Contains(s.Choices, word) {
		return word, nil
	}
	return nil, errors.New(strings.NewReplacer("%s", text, "%r", pyRepr(text)).Replace(s.BadChoice))
}

// A badValue is a value that was found to be no good where it was read.
type badValue struct {
	value any
	text  string // what is wrong with it
}

// checkObject takes a dotted name, or a Python object, which stays where it is.
func checkObject(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v), nil
	case pyObject:
		return v, nil
	}
	return nil, fmt.Errorf("Not a string: %s", pyStr(v))
}
