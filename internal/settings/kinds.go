package settings

import (
	"fmt"
	"slices"
	"strings"

	"indrik/internal/wire"
)

// The kinds of worker, as users name them.
const (
	WorkerSync    = "sync"
	WorkerThread  = "gthread"
	WorkerGevent  = "gevent"
	WorkerASGI    = "asgi"
	WorkerTornado = "tornado"
)

// kinds are all kinds, in the order in which messages name them.
var kinds = []string{WorkerSync, WorkerThread, WorkerGevent, WorkerASGI, WorkerTornado}

// multiplexed are the kinds whose workers run many requests in one thread, and the
// kind that they are to the front. A Tornado application is run as one of ASGI.
var multiplexed = map[string]wire.Kind{
	WorkerGevent:  wire.KindGevent,
	WorkerASGI:    wire.KindASGI,
	WorkerTornado: wire.KindASGI,
}

// classes are the names of a kind of worker besides its own: other names
// and classes of Gunicorn's.
var classes = map[string]string{
	"gunicorn.workers.sync.SyncWorker":      WorkerSync,
	"gunicorn.workers.gthread.ThreadWorker": WorkerThread,
	"gunicorn.workers.gasgi.ASGIWorker":     WorkerASGI,

	"gevent_wsgi":                                 WorkerGevent,
	"gevent_pywsgi":                               WorkerGevent,
	"gunicorn.workers.ggevent.GeventWorker":       WorkerGevent,
	"gunicorn.workers.ggevent.GeventPyWSGIWorker": WorkerGevent,
	"gunicorn.workers.gtornado.TornadoWorker":     WorkerTornado,
}

// foreign are classes that others made for Gunicorn, and the kind of worker that does
// their job here.
var foreign = map[string]string{
	"uvicorn.workers.UvicornWorker":            WorkerASGI,
	"uvicorn.workers.UvicornH11Worker":         WorkerASGI,
	"uvicorn_worker.UvicornWorker":             WorkerASGI,
	"uvicorn_worker.UvicornH11Worker":          WorkerASGI,
	"uvicorn_worker._workers.UvicornWorker":    WorkerASGI,
	"uvicorn_worker._workers.UvicornH11Worker": WorkerASGI,

	"geventwebsocket.gunicorn.workers.GeventWebSocketWorker": WorkerGevent,
}

// extensionNames are the extensions of ASGI that can be asked for.
var extensionNames = []string{"pathsend", "zerocopysend", "early_hint", "trailers", "all"}

// kindOf is the kind of worker that a name means, "" if it means none.
func kindOf(name string) string {
	name = strings.TrimPrefix(name, "egg:gunicorn#")
	if slices.Contains(kinds, name) {
		return name
	}
	if kind, ok := foreign[name]; ok {
		return kind
	}
	return classes[name]
}

// classHints say what to write for names that mean something elsewhere.
var classHints = map[string]string{
	"eventlet":                          "eventlet is gone from Gunicorn as well: gevent does the same",
	"egg:gunicorn#eventlet":             "eventlet is gone from Gunicorn as well: gevent does the same",
	"uvloop":                            "that is an event loop, asgi_loop = 'uvloop', and taken where it is installed; the kind of worker is asgi",
	"asyncio":                           "that is an event loop, asgi_loop = 'asyncio'; the kind of worker is asgi",
	"trio":                              "apps of ASGI run in asyncio or uvloop; trio is not there",
	"uvicorn":                           "did you mean 'asgi', or 'uvicorn.workers.UvicornWorker', which means the same?",
	"unicorn":                           "did you mean 'asgi', or 'uvicorn.workers.UvicornWorker', which means the same?",
	"thread":                            "did you mean 'gthread'?",
	"threads":                           "did you mean 'gthread'?",
	"threaded":                          "did you mean 'gthread'?",
	"async":                             "did you mean 'asgi', or 'gevent' for WSGI?",
	"wsgi":                              "did you mean 'sync', or 'gthread'?",
	"aiohttp.GunicornWebWorker":         "an app of aiohttp is neither of WSGI nor of ASGI, and cannot be run here",
	"aiohttp.worker.GunicornWebWorker":  "an app of aiohttp is neither of WSGI nor of ASGI, and cannot be run here",
	"meinheld.gmeinheld.MeinheldWorker": "meinheld is a server of its own: 'sync' or 'gthread' runs the same apps",
	"egg:meinheld#gunicorn_worker":      "meinheld is a server of its own: 'sync' or 'gthread' runs the same apps",
}

// checkClass accepts the name of a kind of worker, Gunicorn's own classes by name or as
// objects, and what can be a class of one's own: only Python can say which kind that is,
// see [Config.UnknownClass].
func checkClass(v any) (any, error) {
	name, isText := v.(string)
	class, isClass := strings.CutPrefix(pyRepr(v), "<class '")
	if !isText {
		name = strings.TrimSuffix(class, "'>")
	}
	name = strings.TrimSpace(name)
	if kindOf(name) != "" {
		return name, nil
	}
	if hint := classHints[name]; hint != "" {
		return nil, fmt.Errorf("class uri %s invalid or not found: %s", pyRepr(v), hint)
	}
	if isText && strings.ContainsAny(name, ".:") || !isText && isClass {
		return name, nil
	}
	last := len(kinds) - 1
	hint := "the kinds of worker are " + strings.Join(kinds[:last], ", ") + " and " + kinds[last] + "; a class of your own has the name of its module: myapp.workers.MyWorker"
	return nil, fmt.Errorf("class uri %s invalid or not found: %s", pyRepr(v), hint)
}

// UnknownClass is the worker class of one's own whose kind is not known yet, "" if the kind
// of worker is known.
func (c *Config) UnknownClass() string {
	if name := c.WorkerClass(); kindOf(name) == "" {
		return name
	}
	return ""
}

// KindForLog returns the kind of worker as the log names it: as configured, but
// gthread for sync with several threads.
func (c *Config) KindForLog() string {
	name := c.WorkerClass()
	if c.ownClass != "" {
		return c.Kind() + ", by the class " + c.ownClass
	}
	if c.Kind() != kindOf(name) {
		return c.Kind()
	}
	if kind, ok := foreign[name]; ok {
		return kind + ", which does the job of " + name
	}
	return name
}

// Kind is the kind of worker.
func (c *Config) Kind() string {
	kind := kindOf(c.WorkerClass())
	if kind == WorkerSync && c.Threads() > 1 {
		return WorkerThread
	}
	return kind
}

// FrontKind is the kind of worker to the front.
func (c *Config) FrontKind() wire.Kind { return multiplexed[c.Kind()] }

// Slots is the number of requests that one worker runs at the same time, each in a
// slot of its own.
func (c *Config) Slots() int {
	if c.FrontKind() != "" {
		return 1 // all are run by one thread
	}
	return max(1, c.Threads())
}

// EarlyKind is the kind of worker as far as it is certain before the config file,
// a layer below these, is known; "" if it is not.
func EarlyKind(layers ...Layer) string {
	for i := len(layers) - 1; i >= 0; i-- {
		if v, ok := layers[i].Values["worker_class"]; ok {
			name, _ := v.(string)
			return kindOf(strings.TrimSpace(name))
		}
	}
	return ""
}
