package tlsconf

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Ciphers reads a cipher list in OpenSSL's language (openssl-ciphers(1)) and
// returns what it means for TLS 1.2, as crypto/tls numbers the suites.
//
// Keywords (HIGH, ECDHE+AESGCM and so on) select only what crypto/tls holds for
// secure; any other suite has to be named. The order of the list, and with it
// the prefix + and @STRENGTH, have no effect, since crypto/tls orders the suites
// itself. The suites of TLS 1.3 are always on, as in OpenSSL's own list.
//
// What crypto/tls does not implement is left out and returned in dropped. A word
// that is not known is an error, as is a list with nothing left, or one that
// asks for what cannot be had.
func Ciphers(spec string) (ids []uint16, dropped []string, err error) {
	l := list{on: map[uint16]bool{}, off: map[uint16]bool{}}
	separator := func(r rune) bool { return strings.ContainsRune(":,; ", r) }
	for _, part := range strings.FieldsFunc(spec, separator) {
		// A command needs no separator in front: DEFAULT@SECLEVEL=2.
		word, commands, found := strings.Cut(part, "@")
		if word != "" {
			if err := l.word(word); err != nil {
				return nil, nil, err
			}
		}
		if found {
			for command := range strings.SplitSeq(commands, "@") {
				if err := l.command(command); err != nil {
					return nil, nil, err
				}
			}
		}
	}
	for i := range suites {
		if s := &suites[i]; l.on[s.id] && !(l.level >= 2 && s.has("RC4")) {
			ids = append(ids, s.id)
		}
	}
	if len(ids) > 0 {
		return ids, l.dropped, nil
	}
	text := fmt.Sprintf("no cipher is left for TLS 1.2 in %q", spec)
	if len(l.dropped) > 0 {
		text += fmt.Sprintf(" (not available: %s)", strings.Join(l.dropped, ", "))
	}
	return nil, nil, errors.New(text + ": name others, or set tls_min_version to 1.3 and leave ciphers out")
}

// A list is a cipher list that is being read.
type list struct {
	on, off map[uint16]bool // off: by "!", for good
	dropped []string
	level   int
}

// word obeys one item of the list, which is not a command.
func (l *list) word(item string) error {
	prefix, word := byte(0), item
	if strings.ContainsRune("!-+", rune(item[0])) {
		prefix, word = item[0], item[1:]
	}
	add := prefix == 0
	exact := find(word)
	switch {
	case exact != nil:
	case tls13[word] && (add || prefix == '+'):
		return nil
	case tls13[word]:
		return fmt.Errorf("%q: the ciphers of TLS 1.3 cannot be turned off", item)
	case foreign[word]:
		l.drop(add, word)
		return nil
	default:
		for w := range strings.SplitSeq(word, "+") {
			if !known(w) {
				return fmt.Errorf("unknown cipher %q in %q", w, item)
			}
		}
	}
	hit := false
	for i := range suites {
		s := &suites[i]
		if exact != nil && s != exact || exact == nil && !s.matches(word) {
			continue
		}
		switch prefix {
		case 0:
			if exact == nil && insecure[s.id] {
				continue
			}
			hit = true
			if !l.off[s.id] {
				l.on[s.id] = true
			}
		case '!':
			l.off[s.id] = true
			delete(l.on, s.id)
		case '-':
			delete(l.on, s.id)
		}
	}
	l.drop(add && !hit, word)
	return nil
}

func (l *list) drop(yes bool, word string) {
	if yes && !slices.Contains(l.dropped, word) {
		l.dropped = append(l.dropped, word)
	}
}

// matches reports whether all of the keywords, joined by +, select s.
func (s *suite) matches(words string) bool {
	for w := range strings.SplitSeq(words, "+") {
		if !s.has(w) {
			return false
		}
	}
	return true
}

// known reports whether word is a keyword of OpenSSL.
func known(word string) bool {
	if word == "" || barren[word] {
		return word != ""
	}
	return slices.ContainsFunc(suites, func(s suite) bool { return s.has(word) })
}

// command obeys what follows an @.
func (l *list) command(command string) error {
	if command == "STRENGTH" {
		return nil
	}
	value, found := strings.CutPrefix(command, "SECLEVEL=")
	level, err := strconv.Atoi(value)
	switch {
	case !found:
		return fmt.Errorf("unknown command \"@%s\" in a cipher list", command)
	case err != nil || level < 0 || level > 5:
		return fmt.Errorf("\"@%s\": the level is 0 to 5", command)
	case level > 2:
		// They bound keys and TLS 1.3 too, which crypto/tls cannot do.
		return fmt.Errorf("\"@%s\" cannot be had: the highest level is 2, name the ciphers instead", command)
	}
	l.level = level
	return nil
}
