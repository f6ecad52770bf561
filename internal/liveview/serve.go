package liveview

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// An asset is one of the files of the page.
type asset struct {
	content []byte
	kind    string // Content-Type
	tag     string // ETag
}

// kinds are the media types of the files, by the ends of their names.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// files are the assets by their paths.
var files = func() map[string]asset {
	all := map[string]asset{}
	entries, err := assets.ReadDir("assets")
	if err != nil {
		panic("liveview: " + err.Error()) // they are in the binary
	}
	for _, e := range entries {
		content, err := assets.ReadFile("assets/" + e.Name())
		if err != nil {
			panic("liveview: " + err.Error())
		}
		sum := sha256.Sum256(content)
		at := "/live/" + e.Name()
		if e.Name() == "page.html" {
			at = "/"
		}
		all[at] = asset{content, kinds[path.Ext(e.Name())], `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return all
}()

// policy lets the page use its own files and events and nothing else, and makes Chromium
// refuse markup that a script would make of text. The page can be in no frame of another.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// ServeHTTP answers a request for the page, for one of its files, or for the events.
func (v *View) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	file, found := files[r.URL.Path]
	switch {
	case !found && r.URL.Path != "/events":
		http.Error(w, "there is no such page here", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
	case found:
		serveFile(w, r, file)
	default:
		v.serveEvents(w, r)
	}
}

func serveFile(w http.ResponseWriter, r *http.Request, file asset) {
	h := w.Header()
	h.Set("Content-Type", file.kind)
	h.Set("Cache-Control", "no-cache") // a browser asks whether it has changed
	h.Set("ETag", file.tag)
	if strings.Contains(r.Header.Get("If-None-Match"), file.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(file.content)
}

// serveEvents sends events until the viewer leaves or is dropped.
func (v *View) serveEvents(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	// Pages elsewhere cannot read the stream, but could take the places of viewers.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		http.Error(w, "the events are for the page of this address", http.StatusForbidden)
		return
	}
	if r.Method == http.MethodHead {
		h.Set("Content-Type", "text/event-stream")
		return
	}
	viewer := v.watch()
	if viewer == nil {
		h.Set("Retry-After", "5")
		http.Error(w, "too many watch already", http.StatusServiceUnavailable)
		return
	}
	defer v.leave(viewer)
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold it back
	out := http.NewResponseController(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case message, more := <-viewer.events:
			if !more {
				return
			}
			// Not every ResponseWriter has deadlines; where there are none, whoever serves it
			// bounds the time.
			_ = out.SetWriteDeadline(time.Now().Add(v.patience))
			if _, err := w.Write(message); err != nil {
				return
			}
			if out.Flush() != nil {
				return
			}
		}
	}
}
