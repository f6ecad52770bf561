// Package admin is the HTTP server of the admin address: what people, probes and scrapers ask
// a running server. It knows nothing of that server; the [Page]s that it is given do.
//
// Whoever may connect can cost the process that it is in no more than this, whatever they
// send, and however slowly they read:
//
//   - 64 connections, 32 of them from one address; the one that has done nothing for the longest
//     time makes room for a new one, so that a probe is answered however many others are there,
//   - 200 new connections a second; the others wait in the kernel,
//   - 8 KiB of header fields and 4 KiB of a body, within 10 seconds,
//   - a response that is read within 30 seconds,
//   - of pages that are expensive ([Page.Costly]) one at a time, and a fiftieth of the time of
//     one processor.
//
// A peer that is not allowed gets a page that says so, and one of 8 connections more.
//
// The check of the field Host is for browsers: a page of somebody else can make a name of its
// own mean this address, and would then read what is here with the rights of the person who
// looks at it (DNS rebinding).
//
// Try it with go test ./internal/admin.
package admin
