// Package top is the live view of a server in a terminal, `indrik top`: the status, again and
// again, with what follows from two of them (requests a second, processor time), and keys for
// what can be done about it.
//
// [Model] is what is seen and what each key does, without a terminal and without a server:
// its tests feed it statuses and keys and compare the screens. [Run] puts it into a terminal
// and gives the terminal back, whatever ends the program. The server is behind [Server].
//
// What a server says contains what clients and the app have said. Each text passes through
// package status before it is laid out, so that no control character reaches the terminal.
package top
