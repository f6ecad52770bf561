package wire

import "golang.org/x/sys/unix"

// credentialsSpace is the room that the credentials of a sender take in control data.
var credentialsSpace = unix.CmsgSpace(unix.SizeofUcred)

// wantCredentials asks the kernel to name the sender of each message on a socket
// (unix(7), SO_PASSCRED).
func wantCredentials(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
}

// senderOf is the pid in the control data of a message, 0 if there is none.
func senderOf(oob []byte) int {
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for i := range cmsgs {
		if cred, err := unix.ParseUnixCredentials(&cmsgs[i]); err == nil {
			return int(cred.Pid)
		}
	}
	return 0
}
