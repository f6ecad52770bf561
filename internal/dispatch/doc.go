// Package dispatch brings each request to one worker, once, and its response back.
package dispatch
