package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// JSON has no form for bytes that are not UTF-8, but names of files and values
// of variables may hold any. Python keeps such a byte in a text as the lone
// surrogate U+DC80 to U+DCFF (PEP 383), and its json module writes that as an
// escape, \udc80 to \udcff. So do control messages between Go processes; for
// encoding/json, which would replace both, the byte is a private character in
// between.
const (
	firstPrivate  = 0x10dc80   // stands for the byte 0x80
	privatePrefix = "\xf4\x8d" // what its UTF-8 begins with
)

// marshal is json.Marshal, except that bytes which are not UTF-8 survive.
func marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || !bytes.Contains(data, []byte(`\ufffd`)) {
		return data, err
	}
	// encoding/json writes U+FFFD itself as it is: there was another byte.
	data, err = json.Marshal(mapStrings(reflect.ValueOf(v), hideBytes).Interface())
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		i := bytes.Index(data, []byte(privatePrefix))
		if i < 0 {
			return append(out, data...), nil
		}
		r, n := utf8.DecodeRune(data[i:])
		out = append(out, data[:i]...)
		if b := r - firstPrivate; b >= 0 && b < 0x80 {
			const hex = "0123456789abcdef"
			b += 0x80
			out = append(out, `\udc`...)
			out = append(out, hex[b>>4], hex[b&15])
		} else {
			out = append(out, data[i:i+n]...)
		}
		data = data[i+n:]
	}
}

// unmarshal is json.Unmarshal, except that lone surrogates which stand for
// bytes become these.
func unmarshal(data []byte, v any) error {
	private, found := loneToPrivate(data)
	if err := json.Unmarshal(private, v); err != nil || !found {
		return err
	}
	target := reflect.ValueOf(v).Elem()
	target.Set(mapStrings(target, showBytes))
	return nil
}

// loneToPrivate returns JSON with private characters in the place of the escapes
// \udc80 to \udcff that follow no high surrogate, and reports whether there were any.
func loneToPrivate(data []byte) ([]byte, bool) {
	if !bytes.Contains(data, []byte(`\udc`)) {
		return data, false
	}
	var out []byte
	found, high := false, false
	for i := 0; i < len(data); {
		if data[i] != '\\' || i+1 >= len(data) {
			out, high = append(out, data[i]), false
			i++
			continue
		}
		if data[i+1] != 'u' || i+6 > len(data) {
			out, high = append(out, data[i:i+2]...), false
			i += 2
			continue
		}
		b, ok := surrogateByte(data[i+2 : i+6])
		if ok && !high {
			out, found = utf8.AppendRune(out, firstPrivate+rune(b)-0x80), true
		} else {
			out = append(out, data[i:i+6]...)
		}
		high = (data[i+2] == 'd' || data[i+2] == 'D') && strings.IndexByte("89abAB", data[i+3]) >= 0
		i += 6
	}
	return out, found
}

// surrogateByte returns the byte that the four digits of an escape stand for.
func surrogateByte(digits []byte) (b byte, ok bool) {
	if !bytes.EqualFold(digits[:2], []byte("dc")) {
		return 0, false
	}
	for _, d := range digits[2:] {
		i := strings.IndexByte("0123456789abcdef", d|0x20)
		if d >= '0' && d <= '9' {
			i = int(d - '0')
		}
		if i < 0 {
			return 0, false
		}
		b = b<<4 | byte(i)
	}
	return b, b >= 0x80
}

// hideBytes replaces bytes that are not UTF-8 by private characters.
func hideBytes(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			out.WriteRune(firstPrivate + rune(s[i]) - 0x80)
		} else {
			out.WriteString(s[i : i+n])
		}
		i += n
	}
	return out.String()
}

// showBytes is the reverse of hideBytes.
func showBytes(s string) string {
	if !strings.Contains(s, privatePrefix) {
		return s
	}
	var out []byte
	for _, r := range s {
		if b := r - firstPrivate; b >= 0 && b < 0x80 {
			out = append(out, byte(b)+0x80)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
}

// mapStrings returns a copy of v with f applied to every string in it, keys of maps
// too.
func mapStrings(v reflect.Value, f func(string) string) reflect.Value {
	switch v.Kind() {
	case reflect.String:
		out := reflect.New(v.Type()).Elem()
		out.SetString(f(v.String()))
		return out
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v
		}
		inner := mapStrings(v.Elem(), f)
		out := reflect.New(v.Type()).Elem()
		if v.Kind() == reflect.Pointer {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(inner)
		} else {
			out.Set(inner)
		}
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(mapStrings(v.Field(i), f))
			}
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(mapStrings(v.Index(i), f))
		}
		return out
	case reflect.Array:
		out := reflect.New(v.Type()).Elem()
		for i := range v.Len() {
			out.Index(i).Set(mapStrings(v.Index(i), f))
		}
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			out.SetMapIndex(mapStrings(it.Key(), f), mapStrings(it.Value(), f))
		}
		return out
	}
	return v
}
