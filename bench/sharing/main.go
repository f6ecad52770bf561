// Command sharing measures how much memory the workers of an app take that fills its caches
// with its first requests: forked one by one, preloaded, and reforked from a warm worker
// (docs/selfcare.md). Linux only: it reads /proc. The interpreter needs Django and FastAPI.
//
//	go run ./bench/sharing -indrik bin/indrik -python .cache/venv-all/bin/python
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"indrik/bench/proctree"
	"indrik/bench/serve"
)

// caches are what first requests fill, once in each worker, as with functools.lru_cache around
// a query or a template. Large objects can go on being shared while they are used; a small one
// is written to by each use, since its reference count is beside it.
var caches = map[string]string{
	"1500 pages of 20 KB": `
@functools.lru_cache(maxsize=None)
def page(n):
    return ("<li>item %d of this page</li>" % n * 1000)[:20_000]

def fill(part):
    return sum(len(page(n)) for n in range(part % 50 * 30, part % 50 * 30 + 30))
`,
	"60 000 records": `
@functools.lru_cache(maxsize=None)
def record(n):
    return json.loads(json.dumps({"id": n, "name": "name %d" % n, "tags": ["a%d" % n, "b%d" % n], "price": n / 7}))

def fill(part):
    return sum(record(n)["id"] for n in range(part % 50 * 1200, part % 50 * 1200 + 1200))
`,
}

// An app is a web framework, with modules that it imports only when it needs them.
type app struct{ name, source string }

var apps = []app{
	{"Django", `
import functools, json
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of the bench",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
django.setup()

def view(request, part):
    import django.contrib.admin.options, django.core.mail, django.core.paginator, django.db.models, django.forms
    return HttpResponse(str(fill(part)))

urlpatterns = [path("<int:part>", view)]
app = get_wsgi_application()
`},
	{"FastAPI", `
import functools, json
from fastapi import FastAPI
app = FastAPI()

@app.get("/{part}")
async def view(part: int):
    import concurrent.futures, decimal, http.client, sqlite3, statistics, unittest, xml.etree.ElementTree
    return fill(part)
`},
}

// A way is how the workers are made.
type way struct {
	name   string
	args   []string
	refork bool
}

var ways = []way{
	{"each by itself", nil, false},
	{"`preload_app`", []string{"--preload"}, false},
	{"`indrik refork`", nil, true},
	{"`preload_app` and `indrik refork`", []string{"--preload"}, true},
}

func main() {
	indrik := flag.String("indrik", "bin/indrik", "the `program` to measure")
	python := flag.String("python", "", "the `interpreter` of the apps; empty: as the server finds it")
	workers := flag.Int("workers", 8, "how many")
	requests := flag.Int("requests", 2000, "how many requests after each step")
	flag.Parse()
	if *python != "" {
		os.Setenv("INDRIK_PYTHON", *python)
	}
	fmt.Print("| PSS of all processes, MiB |")
	for _, w := range ways {
		fmt.Printf(" %s |", w.name)
	}
	fmt.Printf("\n|---|%s\n", strings.Repeat("---|", len(ways)))
	for _, a := range apps {
		for _, cache := range slices.Sorted(maps.Keys(caches)) {
			fmt.Printf("| %s, %s |", a.name, cache)
			for _, w := range ways {
				total, err := measure(*indrik, a.source+caches[cache], w, *workers, *requests)
				if err != nil {
					fmt.Fprintf(os.Stderr, "\nsharing: %s, %s: %s\n", a.name, w.name, err)
					os.Exit(1)
				}
				fmt.Printf(" %d |", total>>20)
			}
			fmt.Println()
		}
	}
}

// measure returns the memory of all processes of a server after so many requests, in bytes.
func measure(indrik, source string, w way, workers, requests int) (int64, error) {
	dir, err := os.MkdirTemp("", "sharing")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	control := dir + "/ctl"
	args := append([]string{"--workers", fmt.Sprint(workers), "--control-socket", control}, w.args...)
	cmd, address, err := serve.Indrik(indrik, dir, source, args...)
	if err != nil {
		return 0, err
	}
	s, err := serve.Start(context.Background(), cmd, func() error { return get(address, 0) })
	if err != nil {
		return 0, err
	}
	defer s.Stop()
	if err := load(address, requests); err != nil {
		return 0, err
	}
	if w.refork {
		if out, err := exec.Command(indrik, "refork", "-s", control).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
		}
		if err := load(address, requests); err != nil {
			return 0, err
		}
	}
	time.Sleep(time.Second) // workers that were replaced are on their way out
	return proctree.PSS("/proc", cmd.Process.Pid)
}

// load sends requests on one connection each, so that every worker gets its share.
func load(address string, requests int) error {
	var group sync.WaitGroup
	failed := make(chan error, 1)
	for first := range 16 {
		group.Go(func() {
			for n := first; n < requests; n += 16 {
				if err := get(address, n); err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func get(address string, n int) error {
	r, err := client.Get(fmt.Sprintf("http://%s/%d", address, n))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	return nil
}
