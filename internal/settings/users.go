package settings

import (
	"os"
	"os/user"
	"strconv"
)

// frontUser is the user that the front runs as unless front_user says otherwise, if the
// system has such a user.
const frontUser = "indrik"

// An Account is whom a process runs as.
type Account struct {
	UID, GID int
	Name     string // of the user, as it is given; for its other groups
}

// WorkerAccount is whom the workers run as.
func (c *Config) WorkerAccount() Account {
	return Account{c.User(), c.Group(), value[identity](c, "user").text}
}

// FrontAccount is whom the front runs as.
func (c *Config) FrontAccount() Account {
	if os.Geteuid() != 0 {
		return c.WorkerAccount()
	}
	var a Account
	if c.IsSet("front_user") {
		a = Account{UID: c.FrontUser(), GID: c.Group(), Name: value[identity](c, "front_user").text}
		if u, err := user.LookupId(strconv.Itoa(a.UID)); err == nil {
			a.GID, _ = strconv.Atoi(u.Gid)
		}
	} else if u, err := user.Lookup(frontUser); err == nil {
		a.UID, _ = strconv.Atoi(u.Uid)
		a.GID, _ = strconv.Atoi(u.Gid)
		a.Name = frontUser
	} else {
		a = c.WorkerAccount()
	}
	if c.IsSet("front_group") {
		a.GID = c.FrontGroup()
	}
	return a
}

// checkUsers warns of what a server that is started as root leaves to its workers.
func (c *Config) checkUsers() {
	if os.Geteuid() != 0 {
		for _, name := range []string{"front_user", "front_group"} {
			if c.IsSet(name) && c.get(name).(identity).id != map[string]int{"front_user": os.Geteuid(), "front_group": os.Getegid()}[name] {
				c.warn("%s (%s) has no effect: only a server that is started as root can give the front another user", name, c.Source(name))
			}
		}
		return
	}
	worker := c.WorkerAccount()
	if worker.UID == 0 {
		return
	}
	if worker.GID == 0 {
		c.warn("The workers keep the group of root: set group, too")
	}
	if c.FrontAccount().UID == worker.UID {
		c.warn("The front runs as the user of the workers, so that code in a worker can stop it, and read its memory: " +
			"make a system user '" + frontUser + "' (useradd --system " + frontUser + "), or set front_user")
	}
}
