# make run       serve examples/hello
# make build     bin/indrik, one static file
# make test      what every change has to pass; under ten minutes on two processors
# make test-all  what needs more than that: large packages from PyPI, programs from the
#                system, a minute of chaos
# make nightly   soaks, long fuzzing and the long run of the dispatcher's model, for hours when
#                nobody waits
# make cover     the statements that unit tests and black-box tests run together, by package;
#                .cache/cover/index.html and uncovered.txt show what none of them runs
# make venv      .cache/venv, the packages that tests need; venv-all: .cache/venv-all, the
#                larger ones of test-all; venv-autobahn: the test suite of Autobahn
# make ruff      lint and format of the Python; make mypy: its types. Both are of venv-lint:
#                .cache/venv-lint
# make fuzz      each fuzz target for FUZZTIME
# make house     how the files of each package depend on each other, and what names mean there
# make bench     Indrik beside other servers, in under ten minutes
# make bench-full  all of it, into bench/results and docs/benchmarks.md; 25 minutes at most, on a
#                  machine that does nothing else. BENCHFLAGS='-rounds 5 -lesser 2 -limit 2h': longer
# make bench-against BEFORE=BINARY  this tree's binary beside an older one, by processor time
# make bench-scaling   how the number of workers follows a load that steps up and down; docs/selfcare.md
# make bench-overload  what becomes of more requests than the workers can do; docs/overload.svg
# make bench-idle      the memory of idle connections
# make bench-where     where the time of a request goes, by process; docs/performance.md
# make bench-sharing   the memory of workers: each by itself, preloaded, reforked
# make micro     benchmarks of the parts; make benchstat compares two of them
# make dist      what a release consists of, into dist/: wheels, sdists, deb, rpm, SBOM, checksums
# make image     an image for containers into dist/, of the wheel there and Debian's Python; root
# make drawings  the sequence diagrams of the documentation, of docs/drawings/*.seq
# make site      the documentation as a web site, into .cache/site
# make release   make dist of a tagged commit, twice, with all that has to hold before it is published
# make module PATH=example.org/team/indrik  the Go module gets that path, everywhere
# make quick     what finds most mistakes, in under a minute
# make clean

PYTHON      ?= python3
FUZZTIME    ?= 30s
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.0
H2SPEC      := github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
NFPM        := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.0
CHECKLOCKS  := gvisor.dev/gvisor/tools/checklocks/cmd/checklocks@v0.0.0-20260905035102-160fafc42237
ACTIONLINT  := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
BENCHSTAT   := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

# The race detector needs cgo, and so a C compiler.
RACE := $(if $(filter module,$(MAKECMDGOALS)),,$(if $(filter 1,$(shell go env CGO_ENABLED)),-race))

TOOLS := $(CURDIR)/.cache/bin
VENV  := $(CURDIR)/.cache/venv

.PHONY: module quick drawings architectures image release workflows site dist dist-native system-all deploy-all venv-dist venv-tools venv-lint ruff mypy build run test test-all nightly soak model chaos blackbox-all venv-all venv-autobahn bench-against format vet lint locks house unit python venv blackbox fuzz bench bench-full bench-kinds bench-docs micro benchstat bench-overload bench-scaling bench-idle bench-sharing bench-where clean

build:
	CGO_ENABLED=0 go build -trimpath -o bin/indrik ./cmd/indrik

run: build
	@echo "http://127.0.0.1:8000 serves examples/hello; Ctrl-C stops it"
	@cd examples/hello && ../../bin/indrik --workers 2 hello:app

# Everything that is quick: no race detector, and of the black-box tests a handful.
QUICK := ^(TestHello|TestLayers|TestPackageComments|TestDependencies|TestKeepAlive|TestFirstChange)$$
quick: format
	@echo "make quick: format, vet, unit tests of Go and Python without the race detector, a few black-box tests; under a minute"
	go vet ./...
	go test ./internal/... ./bench/...
	cd python && PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m unittest discover -q -s tests -t .
	go test -count=1 -run '$(QUICK)' ./test

# All parts run; what failed is said at the end.
test:
	@echo "make test: format, vet, lint, locks, house, ruff, mypy, unit tests with the race detector, black-box tests;"
	@echo "under ten minutes on two processors, and some minutes more the first time, for tools; make quick takes one"
	@failed=; \
	for part in format vet lint locks house ruff mypy unit blackbox; do \
		echo "== $$part"; \
		$(MAKE) --no-print-directory $$part || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "make test: failed:$$failed"; exit 1; fi; \
	echo "make test: all parts passed"

test-all:
	@failed=; \
	for part in site workflows system-all dist-native deploy-all blackbox-all chaos; do \
		echo "== $$part"; \
		$(MAKE) --no-print-directory $$part || failed="$$failed $$part"; \
	done; \
	if [ -n "$$failed" ]; then echo "make test-all: failed:$$failed"; exit 1; fi; \
	echo "make test-all: all parts passed"

nightly:
	@failed=; \
	for part in soak model system-all architectures "chaos CHAOS=2m" "fuzz FUZZTIME=2m"; do \
		echo "== $$part"; \
		$(MAKE) --no-print-directory $$part || failed="$$failed $${part%% *}"; \
	done; \
	if [ -n "$$failed" ]; then echo "make nightly: failed:$$failed"; exit 1; fi; \
	echo "make nightly: all parts passed"

format:
	@unformatted=$$(find . -name '*.go' -not -path './.cache/*' -exec gofmt -l {} +); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

vet:
	go vet ./...
	GOOS=darwin go vet ./...

# .golangci.yml says which checks there are, and why some are not. The first run takes two
# minutes, one after a change a few seconds.
lint: $(TOOLS)/golangci-lint
	GOLANGCI_LINT_CACHE=$(CURDIR)/.cache/golangci-lint $(TOOLS)/golangci-lint run ./...

# HOUSEFLAGS: -v names what is counted; then a package, such as internal/front
house:
	go run ./internal/tools/house $(HOUSEFLAGS)

# What is annotated with +checklocks is used with its mutex held; see CONTRIBUTING.md.
locks: $(TOOLS)/checklocks
	go vet -vettool=$(TOOLS)/checklocks -inferred=false ./internal/...

# The name of the stamp holds the version, so that a new one is installed.
$(TOOLS)/checklocks: $(TOOLS)/$(subst /,-,$(CHECKLOCKS))
$(TOOLS)/$(subst /,-,$(CHECKLOCKS)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(CHECKLOCKS)
	touch $@

$(TOOLS)/golangci-lint: $(TOOLS)/$(subst /,-,$(GOLANGCI))
$(TOOLS)/$(subst /,-,$(GOLANGCI)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(GOLANGCI)
	touch $@

$(TOOLS)/nfpm: $(TOOLS)/$(subst /,-,$(NFPM))
$(TOOLS)/$(subst /,-,$(NFPM)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(NFPM)
	touch $@

$(TOOLS)/cyclonedx-gomod: $(TOOLS)/$(subst /,-,$(CYCLONEDX))
$(TOOLS)/$(subst /,-,$(CYCLONEDX)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(CYCLONEDX)
	touch $@

# The workflows of GitHub, which nothing here runs.
workflows: $(TOOLS)/actionlint
	$(TOOLS)/actionlint

$(TOOLS)/actionlint: $(TOOLS)/$(subst /,-,$(ACTIONLINT))
$(TOOLS)/$(subst /,-,$(ACTIONLINT)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(ACTIONLINT)
	touch $@

$(TOOLS)/h2spec: $(TOOLS)/$(subst /,-,$(H2SPEC))
$(TOOLS)/$(subst /,-,$(H2SPEC)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(H2SPEC)
	touch $@

# ./python runs the Python tests, with the packages of venv and without.
unit: venv
	go test $(RACE) -timeout 20m ./internal/... ./python/... ./bench/...

python:
	$(PYTHON) -m unittest discover -s python/tests -t python

# `.cache/venv-lint/bin/ruff format .`, and `ruff check --fix .`, mend much of what they find.
ruff: venv-lint
	$(VENV)-lint/bin/ruff format --diff --quiet .
	$(VENV)-lint/bin/ruff check --quiet .

# With the packages of venv, whose types tell of gevent and tornado.
mypy: venv venv-lint
	$(VENV)-lint/bin/mypy --no-error-summary

# The copy of the requirements says what is installed: with it nothing is
# downloaded. Without an interpreter that runs it is of no use.
venv:
	$(call make-venv,$(VENV),test/requirements.txt)

venv-all:
	$(call make-venv,$(VENV)-all,test/requirements-all.txt)

# Without an interpreter or a package that is no longer there, its test is skipped.
PYTHON27 ?= $(firstword $(wildcard $(HOME)/.pyenv/versions/2.7*/bin/python2.7) $(shell command -v python2.7))
AUTOBAHN := $(CURDIR)/.cache/venv-autobahn
venv-autobahn:
	@cmp -s test/requirements-autobahn.txt $(AUTOBAHN)/requirements.txt || { \
		rm -rf $(AUTOBAHN) && \
		$(or $(PYTHON27),false) -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
			--target $(AUTOBAHN) -r test/requirements-autobahn.txt && \
		cp test/requirements-autobahn.txt $(AUTOBAHN)/requirements.txt; } || \
		echo "no Python 2.7 with pip, or not all packages for it: the test suite of Autobahn is skipped"

define make-venv
@cmp -s $(2) $(1)/requirements.txt && $(1)/bin/python -c '' || { \
	$(PYTHON) -m venv --clear $(1) && \
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check -r $(2) && \
	cp $(2) $(1)/requirements.txt; }
endef

# What these tests look at is a binary that go test knows nothing of: their
# results must not come from its cache.
blackbox: venv $(TOOLS)/h2spec
	INDRIK_TEST_H2SPEC=$(TOOLS)/h2spec go test -count=1 -timeout 20m -parallel 8 ./test/...

# Each process of a server writes its counters when it ends; one that is killed takes them
# along. The directory can be written to by everybody, since servers run as other users too.
# Without the race detector, for which this is not the place.
COVER  := .cache/cover
FLOORS := -floor internal/dispatch=90 -floor internal/master=85
.PHONY: cover
cover: venv $(TOOLS)/h2spec
	@rm -rf $(COVER); mkdir -p $(COVER)/unit $(COVER)/blackbox
	@failed=; dir=$$(mktemp -d) && chmod 777 $$dir; \
	go test -count=1 -cover -coverpkg=./internal/...,./cmd/... ./internal/... ./cmd/... \
		-args -test.gocoverdir=$(CURDIR)/$(COVER)/unit >$(COVER)/unit.log 2>&1 || { failed=1; cat $(COVER)/unit.log; }; \
	GOCOVERDIR=$$dir INDRIK_TEST_H2SPEC=$(TOOLS)/h2spec \
		go test -count=1 -timeout 20m -parallel 8 ./test/... || failed=1; \
	go tool covdata merge -i=$$dir -o=$(COVER)/blackbox || failed=1; \
	rm -rf $$dir; \
	go tool covdata textfmt -i=$(COVER)/unit,$(COVER)/blackbox -o=$(COVER)/profile && \
	go tool cover -html=$(COVER)/profile -o=$(COVER)/index.html && \
	go run ./test/cover $(FLOORS) -uncovered $(COVER)/uncovered.txt $(COVER)/profile && \
	[ -z "$$failed" ]

# Programs of Debian that tests need. Without root, or elsewhere, those that are not there
# are skipped, each with its reason.
SYSTEM := apache2 buildah caddy chromium crun curl debootstrap haproxy iproute2 lintian nginx nodejs prometheus qemu-user-static rpm supervisor umoci
system-all:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		dpkg --status $(SYSTEM) >/dev/null 2>&1 || \
			{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM) >/dev/null; }; \
	else \
		echo "not root on Debian: tests of what is not installed are skipped ($(SYSTEM))"; \
	fi

# For this kind of machine alone.
dist-native: $(TOOLS)/nfpm $(TOOLS)/cyclonedx-gomod venv-dist
	rm -rf .cache/dist
	PYTHON=$(VENV)-dist/bin/python NFPM=$(TOOLS)/nfpm CYCLONEDX=$(TOOLS)/cyclonedx-gomod \
		WHEELS=linux/$$(go env GOARCH) PACKAGES=$$(go env GOARCH) SPEED=linux/$$(go env GOARCH) packaging/dist .cache/dist

# The Helm chart and the manifests, in a module of their own: Helm and the types of
# Kubernetes are nothing that the server needs. The first run takes two or three minutes.
deploy-all:
	cd test/deploy && go vet ./... && go test -count=1 ./...

# Tests whose names begin with TestAll, and what else asks for INDRIK_TEST_ALL.
blackbox-all: venv venv-all venv-tools venv-autobahn
	INDRIK_TEST_DIST=$(CURDIR)/.cache/dist INDRIK_TEST_ALL=1 go test -count=1 -timeout 30m -parallel 4 -run '^TestAll' ./test/...

# The model of the dispatcher, against 100 times as many random interleavings as in make test.
model:
	go test -count=1 -timeout 1h -run '^TestModel$$' ./internal/dispatch -rapid.checks=30000 -rapid.seed=$$(date +%s)

# CHAOS is how long each of the five kinds of worker is attacked.
CHAOS ?= 12s
chaos: venv
	INDRIK_TEST_RACE=1 INDRIK_TEST_CHAOS=$(CHAOS) go test -count=1 -timeout 30m -run '^TestChaos$$' ./test

# What takes long for its own sake, such as crash loops of a minute.
soak: venv $(TOOLS)/h2spec
	INDRIK_TEST_RACE=1 INDRIK_TEST_LONG=1 INDRIK_TEST_H2SPEC=$(TOOLS)/h2spec go test -count=1 -timeout 2h -parallel 4 ./test/...
	INDRIK_TEST_LONG=1 go test -count=1 -run Deploys ./internal/canary

# All of them; test-all has two.
architectures:
	INDRIK_TEST_LONG=1 INDRIK_TEST_ALL=1 go test -count=1 -timeout 30m -run '^TestAllArchitectures$$' ./test

fuzz:
	@for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test $(RACE) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$package || exit 1; \
		done; \
	done
	INDRIK_TEST_SPEED_FUZZ=$(FUZZTIME) go test -count=1 -v -run '^TestSpeedWithSanitizers$$' ./python

# BENCHFLAGS: see .cache/bench/bench -help
BENCH = .cache/bench/bench -indrik bin/indrik -python "$(PYTHON)" -speed speed

bench: build
	go build -o .cache/bench/bench ./bench
	@exec $(BENCH) $(BENCHFLAGS)

# What the first goals are about has three rounds and comes first, the rest has one. After each
# workload .cache/bench/latest.json has what is known.
bench-full: build
	go build -o .cache/bench/bench ./bench
	@exec $(BENCH) -full -rounds 3 -lesser 1 -duration 800ms -limit 24m -results bench/results/latest.json -docs docs $(BENCHFLAGS)

# BEFORE is the binary to compare with, such as one built from the commit before.
bench-against: build
	go build -o .cache/bench/bench ./bench
	@exec $(BENCH) -against $(BEFORE) -rounds 9 $(BENCHFLAGS)

# The kinds of worker against each other, for docs/workers.md.
bench-kinds: build
	go build -o .cache/bench/bench ./bench
	@exec $(BENCH) -kinds docs/workers.md $(BENCHFLAGS)

bench-scaling: build
	go run ./bench/scaling -indrik bin/indrik -v
	go run ./bench/scaling -indrik bin/indrik -start 5

bench-overload: build
	go run ./bench/overload -indrik bin/indrik -json bench/results/overload.json -svg docs/overload.svg

bench-idle: build
	go run ./bench/idle -indrik bin/indrik

bench-sharing: build venv-all
	go run ./bench/sharing -indrik bin/indrik -python $(VENV)-all/bin/python

# Of the apps of the bench, with its interpreter: make bench first. WHERE: -workloads hello,django and others.
bench-where: build
	go run ./bench/where -indrik bin/indrik -python .cache/bench/venv/bin/python $(WHERE)

# docs/benchmarks.md of the results that are there.
bench-docs:
	go run ./bench -from bench/results/latest.json -docs docs

# PATH is the new path of the module here, for which make then finds no program.
module:
	@/usr/bin/env PATH=/usr/local/go/bin:/usr/local/bin:/usr/bin:/bin /bin/sh packaging/module '$(PATH)'

# The parts by themselves, Go's and Python's. MICRO is where the figures go;
# `make micro MICRO=before`, a change, `make micro MICRO=after`, make benchstat.
MICRO ?= after
micro:
	mkdir -p .cache/micro
	go test -run '^$$' -bench . -benchmem -count 6 ./internal/http1 ./internal/wire ./internal/front | tee .cache/micro/$(MICRO).txt
	$(PYTHON) bench/micro/worker.py | tee -a .cache/micro/$(MICRO).txt
	$(PYTHON) bench/micro/asgi.py | tee -a .cache/micro/$(MICRO).txt

benchstat: $(TOOLS)/benchstat
	$(TOOLS)/benchstat .cache/micro/before.txt .cache/micro/after.txt

$(TOOLS)/benchstat: $(TOOLS)/$(subst /,-,$(BENCHSTAT))
$(TOOLS)/$(subst /,-,$(BENCHSTAT)):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(BENCHSTAT)
	touch $@

# What a release consists of; the same commit gives the same bytes.
dist: $(TOOLS)/nfpm $(TOOLS)/cyclonedx-gomod venv-dist
	rm -rf dist
	PYTHON=$(VENV)-dist/bin/python NFPM=$(TOOLS)/nfpm CYCLONEDX=$(TOOLS)/cyclonedx-gomod packaging/dist dist

# Of the commit that is checked out, if it is that of a version.
release: $(TOOLS)/nfpm $(TOOLS)/cyclonedx-gomod venv-dist
	@PYTHON=$(VENV)-dist/bin/python NFPM=$(TOOLS)/nfpm CYCLONEDX=$(TOOLS)/cyclonedx-gomod packaging/release

# Of the wheel in dist/, which make dist puts there.
image:
	packaging/image dist

venv-tools:
	$(call make-venv,$(VENV)-tools,test/requirements-tools.txt)

venv-lint:
	$(call make-venv,$(VENV)-lint,test/requirements-lint.txt)

venv-dist:
	$(call make-venv,$(VENV)-dist,packaging/requirements.txt)

# Their texts are in docs/drawings; a test compares the drawings with them.
drawings:
	go run ./internal/drawings docs/drawings

# Links that lead nowhere and pages that no menu has are errors (not with --quiet, which
# forgets them). mkdocs-material announces its successor in each run unless told not to.
site:
	$(call make-venv,$(VENV)-site,packaging/site-requirements.txt)
	NO_MKDOCS_2_WARNING=1 $(VENV)-site/bin/mkdocs build --strict
	$(PYTHON) packaging/check_site.py .cache/site
	@echo "python3 -m http.server --bind 127.0.0.1 --directory .cache/site 8001 shows it"

clean:
	rm -rf bin dist .cache
