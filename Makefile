# make run       serve examples/hello
# make build     bin/indrik, one static file
# make test      every check there is
# make venv      .cache/venv, the packages that tests need
# make fuzz      each fuzz target for FUZZTIME
# make bench     Indrik beside Gunicorn, Granian and uWSGI, in under five minutes
# make clean

PYTHON      ?= python3
FUZZTIME    ?= 30s
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector needs cgo, and so a C compiler.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

TOOLS := $(CURDIR)/.cache/bin
VENV  := $(CURDIR)/.cache/venv

.PHONY: build run test format vet staticcheck unit python venv blackbox fuzz bench clean

build:
	CGO_ENABLED=0 go build -trimpath -o bin/indrik ./cmd/indrik

run: build
	@echo "http://127.0.0.1:8000 serves examples/hello; Ctrl-C stops it"
	@cd examples/hello && ../../bin/indrik --workers 2 hello:app

test: format vet staticcheck unit python blackbox

format:
	@unformatted=$$(find . -name '*.go' -not -path './.cache/*' -exec gofmt -l {} +); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	GOOS=darwin go vet ./...

staticcheck: $(TOOLS)/staticcheck
	$(TOOLS)/staticcheck ./...

# The name of the stamp holds the version, so that a new one is installed.
$(TOOLS)/staticcheck: $(TOOLS)/$(subst /,-,$(STATICCHECK))
$(TOOLS)/$(subst /,-,$(STATICCHECK)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(STATICCHECK)
	touch $@

unit:
	go test $(RACE) ./internal/... ./python/... ./bench/...

python:
	$(PYTHON) -m unittest discover -s python/tests -t python

# The copy of the requirements says what is installed: with it nothing is
# downloaded. Without an interpreter that runs it is of no use.
venv:
	@cmp -s test/requirements.txt $(VENV)/requirements.txt && $(VENV)/bin/python -c '' || { \
		$(PYTHON) -m venv --clear $(VENV) && \
		$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r test/requirements.txt && \
		cp test/requirements.txt $(VENV)/; }

# What these tests look at is a binary that go test knows nothing of: their
# results must not come from its cache.
blackbox: venv
	go test -count=1 -timeout 20m ./test/...

fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

# BENCHFLAGS: see .cache/bench/bench -help
bench: build
	go build -o .cache/bench/bench ./bench
	@exec .cache/bench/bench -indrik bin/indrik -python "$(PYTHON)" $(BENCHFLAGS)

clean:
	rm -rf bin .cache
