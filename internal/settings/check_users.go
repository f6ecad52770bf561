package settings

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

func checkUser(v any) (any, error) {
	return checkID(v, os.Geteuid(), "No such user: '%s'", func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func checkGroup(v any) (any, error) {
	return checkID(v, os.Getegid(), "No such group: '%s'", func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// identity is a user or a group.
type identity struct {
	id   int
	text string // as it was given, "" for the process's own
}

func checkID(v any, own int, text string, lookup func(string) (string, error)) (any, error) {
	switch v := v.(type) {
	case nil:
		return identity{id: own}, nil
	case int:
		if v >= 0 {
			return identity{v, strconv.Itoa(v)}, nil
		}
	case string:
		id := v
		if strings.Trim(v, "0123456789") != "" || v == "" {
			var err error
			if id, err = lookup(v); err != nil {
				return nil, fmt.Errorf(text, v)
			}
		}
		if n, err := strconv.ParseInt(id, 10, 32); err == nil {
			return identity{int(n), v}, nil
		}
	}
	return nil, fmt.Errorf(text, pyStr(v))
}
