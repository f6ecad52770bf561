// Package liveview is the page on which people watch a running server in a browser: the page
// itself, which is in the binary, and the stream of events that keeps it up to date.
//
//	/             the page
//	/live/NAME    its scripts, its style and its icon
//	/events       server-sent events: hello, past, sample, status
//
// A [View] is given functions and knows nothing of the front that it runs in. It looks at the
// counters once a second, whether anybody watches or not, and keeps the last [Keep] samples,
// so that a page that is opened has a past. The status of the server, which costs the master
// something, is asked for only while somebody watches, once for all viewers.
//
// What a viewer can cost is bounded: there are at most [MaxViewers]; a message is encoded once
// for all of them; one who does not take what is sent for some seconds is dropped, and nobody
// waits for them. A page that was dropped comes back by itself, as after the end of the front.
//
// The page loads nothing from anywhere else, and its Content-Security-Policy says so. All
// text that clients or the app may have chosen reaches the page as text of a JSON document and
// is put into it as text: there is no markup to escape.
package liveview
