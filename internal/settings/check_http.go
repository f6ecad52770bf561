package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/http1"
	"indrik/internal/tlsconf"
)

// otherwiseUsed are header fields that the server, or every app, reads for something else.
var otherwiseUsed = []string{
	"accept", "authorization", "cookie", "expect", "forwarded", "host", "origin", "referer", "set-cookie", "traceparent",
	"tracestate", "user-agent", "via", "x-forwarded-for", "x-forwarded-proto", "x-request-start",
}

// mayCarryID reports whether a header field of that name can have the ids of requests. An
// underscore is what header_map is about.
func mayCarryID(name string) bool {
	lower := strings.ToLower(name)
	if strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(lower, "-") || len(name) > 64 {
		return false
	}
	for _, prefix := range []string{"accept-", "content-", "sec-", "proxy-", "if-"} {
		if strings.HasPrefix(lower, prefix) {
			return false
		}
	}
	return !http1.IsHopByHop([]byte(lower)) && !slices.Contains(otherwiseUsed, lower)
}

func checkProxyProtocol(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return "off", nil
	case bool:
		if v {
			return "auto", nil
		}
		return "off", nil
	case string:
		switch mode := strings.TrimSpace(strings.ToLower(v)); mode {
		case "off", "false", "0", "none":
			return "off", nil
		case "auto", "true", "1":
			return "auto", nil
		case "v1", "v2":
			return mode, nil
		}
		return nil, errors.New("proxy_protocol must be: off, v1, v2, or auto")
	}
	return nil, errors.New("proxy_protocol must be string or bool")
}

// checkCiphers refuses names that nobody knows. Suites that Go does not have
// are for Resolve to warn about.
func checkCiphers(v any) (any, error) {
	s, err := checkString(v)
	if err != nil {
		return nil, err
	}
	if text, _ := s.(string); text != "" {
		if _, _, err := tlsconf.Ciphers(text); err != nil {
			return nil, fmt.Errorf("ciphers: %w", err)
		}
	}
	return s, nil
}

func checkTLSVersion(v any) (any, error) {
	var text string
	switch v := v.(type) {
	case string:
		text = strings.TrimSpace(v)
	case float64: // 1.2 without quotes
		text = strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return nil, fmt.Errorf("Not a string: %s", pyStr(v))
	}
	if _, err := tlsconf.MinVersion(text); err != nil {
		return nil, fmt.Errorf("tls_min_version: %w", err)
	}
	return text, nil
}

func checkProtocols(v any) (any, error) {
	var parts []string
	switch v := v.(type) {
	case nil:
	case string:
		parts = strings.Split(v, ",")
	case []string:
		parts = v
	default:
		return nil, errors.New("http_protocols must be a string or a list of strings")
	}
	var list []string
	for _, part := range parts {
		switch p := strings.TrimSpace(strings.ToLower(part)); p {
		case "":
			continue
		case "h1", "h2", "h3":
			list = append(list, p)
		default:
			return nil, fmt.Errorf("Invalid protocol '%s'. Valid protocols: h1, h2", p)
		}
	}
	if len(list) == 0 {
		return []string{"h1"}, nil
	}
	if slices.Contains(list, "h3") {
		return nil, errors.New("http_protocols: HTTP/3 is not available; remove h3")
	}
	if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) < len(list) {
		return nil, errors.New("Duplicate protocols specified")
	}
	return list, nil
}

func checkCleartext(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return "off", nil
	case bool:
		if v {
			return prior, nil
		}
		return "off", nil
	case string:
		switch mode := strings.TrimSpace(strings.ToLower(v)); mode {
		case "":
			return "off", nil
		case "off", "prior-knowledge":
			return mode, nil
		case "upgrade", "both":
			return nil, fmt.Errorf("http2_cleartext: '%s' is not available, since RFC 9113 section 3.1 has removed "+
				"the upgrade from HTTP/1.1 to h2c; use prior-knowledge", mode)
		}
	}
	return nil, fmt.Errorf("Invalid http2_cleartext: %s", pyStr(v))
}

// checkAny takes every value, as a type that JSON has.
func checkAny(v any) (any, error) {
	switch v.(type) {
	case nil, int, string:
		return v, nil
	}
	return pyStr(v), nil
}
