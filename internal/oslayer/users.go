package oslayer

import (
	"os/user"
	"strconv"
)

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
		if n, err := strconv.Atoi(id); err == nil && n != gid && id != u.Gid {
			groups = append(groups, uint32(n))
		}
	}
	return groups
}
