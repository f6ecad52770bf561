package front

import "golang.org/x/sys/unix"

// sndbufForce is not bound by net.core.wmem_max; it takes CAP_NET_ADMIN.
const sndbufForce = unix.SO_SNDBUFFORCE
