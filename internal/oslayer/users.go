package oslayer

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// LookupUser finds a user by name or number; "" is the one this process runs as. The
// name is "" for a number that no user has.
func LookupUser(s string) (uid int, name string, err error) {
	if s == "" {
		s = strconv.Itoa(os.Geteuid())
	}
	if n, ok := number(s); ok {
		if u, err := user.LookupId(s); err == nil {
			name = u.Username
		}
		return n, name, nil
	}
	u, err := user.Lookup(s)
	if err != nil {
		return 0, "", fmt.Errorf("No such user: '%s'", s) //lint:ignore ST1005 Gunicorn's text
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, "", fmt.Errorf("user %s has no number: %w", s, err)
	}
	return uid, u.Username, nil
}

// LookupGroup finds a group by name or number; "" is the one this process runs as.
func LookupGroup(s string) (gid int, err error) {
	if s == "" {
		return os.Getegid(), nil
	}
	if n, ok := number(s); ok {
		return n, nil
	}
	g, err := user.LookupGroup(s)
	if err != nil {
		return 0, fmt.Errorf("No such group: '%s'", s) //lint:ignore ST1005 Gunicorn's text
	}
	gid, err = strconv.Atoi(g.Gid)
	if err != nil {
		return 0, fmt.Errorf("group %s has no number: %w", s, err)
	}
	return gid, nil
}

// number reads a user or group number; the last of 32 bits means "none" to chown(2).
func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil && n != 1<<32-1
}

// Groups returns the groups of a user as initgroups(3) would set them: gid, and all
// those that list the user as a member. Of a user that is not known only gid.
func Groups(name string, gid int) []uint32 {
	groups := []uint32{uint32(gid)}
	u, err := user.Lookup(name)
	if err != nil {
		return groups
	}
	ids, err := u.GroupIds()
	if err != nil {
		return groups
	}
	for _, id := range ids {
		// GroupIds also lists the user's own primary group, which initgroups
		// leaves out if another one is given.
		if n, ok := number(id); ok && n != gid && id != u.Gid {
			groups = append(groups, uint32(n))
		}
	}
	return groups
}
