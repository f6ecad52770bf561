// Package codewatch tells that files have changed: the code that an app has
// imported, and whatever else an operator names.
//
// What counts is what is on disk: a look compares every file with what it was
// at the look before. The engines only decide when to look without being asked.
// `poll` does so every second. `inotify` does when the kernel tells that
// something happened in one of the directories; the kernel does not tell of
// everything (network file systems, some mounts of containers), and so does not
// decide what has changed.
//
// A change is told once nothing has changed any more for a moment: editors
// write a file in several steps, and version control many files.
//
// The files are looked at in a goroutine of its own, so that a disk that
// hangs holds up nobody who asks.
package codewatch
