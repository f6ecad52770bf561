package listen

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Owner says who listens at an address already, such as "pid 411, python3"; "" if
// that cannot be told: the files of other users' processes are not to be read.
func Owner(a Address) string {
	var inode string
	switch a.Network {
	case TCP:
		ip, err := resolve(a.Host)
		if err != nil {
			return ""
		}
		inode = tcpListener(ip, a.Port)
	case Unix:
		inode = unixListener(a.Path)
	}
	if inode == "" {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(fd, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm")
			return fmt.Sprintf("pid %s, %s", pid, strings.TrimSpace(string(name)))
		}
	}
	return ""
}

// tcpListener returns the inode of the socket that listens at an address or at all
// addresses, from proc_net_tcp: sl, local_address, rem_address, st, …, inode.
func tcpListener(ip netip.Addr, port int) string {
	const listening = "0A" // TCP_LISTEN
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for fields := range rows(table) {
			if len(fields) < 10 || fields[3] != listening {
				continue
			}
			host, number, _ := strings.Cut(fields[1], ":")
			if n, err := strconv.ParseUint(number, 16, 16); err != nil || int(n) != port {
				continue
			}
			if local, ok := procAddr(host); ok && (local == ip || local.IsUnspecified() || ip.IsUnspecified()) {
				return fields[9]
			}
		}
	}
	return ""
}

// procAddr reads an address of /proc/net/tcp: words of four bytes in the order of the
// machine.
func procAddr(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return ip.Unmap(), ok
}

// unixListener returns the inode of the socket that listens on a path, from
// /proc/net/unix: Num, RefCount, Protocol, Flags, Type, St, Inode, Path.
func unixListener(path string) string {
	const accepts = 1 << 16 // __SO_ACCEPTCON
	for fields := range rows("/proc/net/unix") {
		if len(fields) < 8 || fields[7] != path {
			continue
		}
		if flags, err := strconv.ParseUint(fields[3], 16, 64); err == nil && flags&accepts != 0 {
			return fields[6]
		}
	}
	return ""
}

// rows are the lines of a table, split at white space.
func rows(path string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}
