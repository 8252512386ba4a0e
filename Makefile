# eksa-gitops: every target needs only Go and Git; openssh-server is installed with apt-get where it is missing and the user is root.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

export GOTOOLCHAIN ?= local
# One way of compiling for the program, its tests and the stack, so that all share the build cache.
export CGO_ENABLED := 0
export GOFLAGS := $(strip $(shell go env GOFLAGS) -trimpath)

# Release builds set VERSION; others are described by what Git knows.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || true)
BUILDINFO := github.com/eksa-gitops/eksa-gitops/internal/buildinfo
LDFLAGS := -s -w -X $(BUILDINFO).version=$(VERSION) -X $(BUILDINFO).commit=$(COMMIT)

MANIFESTS := pkg/fluxmanifests/manifests/.complete
MODULES := . test examples/library internal/tools
STATICCHECK := go tool -modfile=$(CURDIR)/internal/tools/go.mod staticcheck

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

.PHONY: build
build: $(MANIFESTS) ## build bin/eksa-gitops
	go build -ldflags '$(LDFLAGS)' -o bin/eksa-gitops ./cmd/eksa-gitops

.PHONY: generate
generate: ## make Flux's manifests (embedded, not committed) and the generated documentation
	go generate ./pkg/fluxmanifests
	go run ./internal/docgen docs

.PHONY: changelog
changelog: ## write CHANGELOG.md from the files in changes
	go run ./internal/changelog changes CHANGELOG.md

$(MANIFESTS): pkg/fluxmanifests/internal/release/release.go $(wildcard pkg/fluxmanifests/internal/genmanifests/*.go)
	go generate ./pkg/fluxmanifests

.PHONY: demo
demo: build ## run the main job for real: control plane, Flux, Git and a GitHub of our own (KEEP=1 leaves it up)
	cd test && go run ./demo -program ../bin/eksa-gitops $(if $(KEEP),-keep)

.PHONY: test
# One package of test/ after the other: each starts as many control planes as the machine has room for.
test: build ## run all tests, the end-to-end ones included
	go test ./...
	cd test && go run ./cmd/stack build && go test -p 1 -timeout 75m ./...

.PHONY: bench
bench: build ## run the benchmarks (docs/performance.md)
	go test -run '^$$' -bench . -benchtime 3x ./...
	cd test && go test -run '^$$' -bench . -benchtime 3x ./...

RUN ?= .
.PHONY: e2e
e2e: build ## run the end-to-end tests only, on the real stack, RUN=TestPause those whose names match
	cd test && go run ./cmd/stack build && go test -timeout 75m -run '$(RUN)' ./e2e

PART ?= full
.PHONY: reliability
reliability: build ## break runs at every external write in every way (hours), or PART=2/40 of it, make 200 random operations, and draw 500 mistakes in a repository; make test does a sample
	cd test && go run ./cmd/stack build && EKSA_GITOPS_RELIABILITY=$(PART) EKSA_GITOPS_RELIABILITY_DOC=$(CURDIR)/docs/reliability.md \
		go test -count 1 -timeout 8h -run '^(TestCrash|TestSoak|TestLosses)$$' ./e2e

FUZZTIME ?= 5m
.PHONY: fuzz
fuzz: ## try new inputs on everything that reads hostile input, FUZZTIME=5m each (docs/reliability.md)
	go -C test run ./cmd/fuzz -time $(FUZZTIME) -doc ../docs/reliability.md ..

# What the race detector need not look at, and would take minutes for: tests of packages that start no goroutine and lock nothing (those
# that use them do, and are looked at), the seeds of fuzz tests, each a pure function in one goroutine (make test runs them), the inner loop
# of the encryption of SSH keys, which is slow on purpose, and what tests leave out when they are asked to be short: more of the same.
RACE := -timeout 20m -short -skip '^Fuzz' -gcflags=golang.org/x/crypto/blowfish=-race=false
RACED = $$(go list -f '{{.ImportPath}} {{join .Imports " "}} ' ./... | awk '/internal\/crash | sync | sync\/atomic / {print $$1}')

# Checks run all, and what failed is told at the end. One that cannot be made here exits with 77.
CHECKS = failed=; skipped=; \
	check() { local name=$$1 code=0; shift; echo "$@: $$name"; "$$@" || code=$$?; \
		case $$code in 0) ;; 77) skipped="$$skipped $$name" ;; *) failed="$$failed $$name" ;; esac; }
CHECKED = if [ -n "$$failed" ]; then echo "$@: failed:$$failed" >&2; exit 1; fi; \
	if [ -n "$$skipped" ]; then echo "$@: all other checks passed; NOT CHECKED:$$skipped" >&2; else echo "$@: all checks passed"; fi
LINT = check gofmt test -z "$$(gofmt -l $$(git ls-files '*.go') | tee /dev/stderr)"; \
	check vet go vet ./...; \
	check vet-test go -C test vet ./...; \
	check vet-library go -C examples/library vet ./...; \
	check staticcheck $(STATICCHECK) ./...; \
	check staticcheck-test bash -c 'cd test && $(STATICCHECK) ./...'; \
	check staticcheck-library bash -c 'cd examples/library && $(STATICCHECK) ./...'

.PHONY: lint
lint: $(MANIFESTS) ## check formatting, vet and static analysis: the part of verify to run while you work
	@$(CHECKS); $(LINT); $(CHECKED)

.PHONY: verify
verify: $(MANIFESTS) ## check all that lint does, examples/library, module files, generated documentation, known vulnerabilities, data races
	@$(CHECKS); $(LINT); \
	check test-library go -C examples/library test ./...; \
	for module in $(MODULES); do check "tidy:$$module" go -C $$module mod tidy -diff; done; \
	check docs go run ./internal/docgen -check docs; \
	check changelog go run ./internal/changelog -check changes CHANGELOG.md; \
	check goreleaser go -C internal/tools/release tool goreleaser check ../../../.goreleaser.yaml; \
	check vulnerabilities internal/tools/vulnerabilities.sh .; \
	check race env CGO_ENABLED=1 go test -race $(RACE) $(RACED); \
	$(CHECKED)

.PHONY: snapshot
snapshot: ## build the archives of a release into dist and publish nothing (their SBOMs only where syft is on PATH)
	go tool -modfile=$(CURDIR)/internal/tools/release/go.mod goreleaser release --snapshot --clean $$(command -v syft >/dev/null || echo --skip=sbom)

.PHONY: vulnerabilities
vulnerabilities: $(MANIFESTS) ## hold the program against the Go vulnerability database (GOVULNDB names a copy of it)
	internal/tools/vulnerabilities.sh . || { code=$$?; [ $$code = 77 ] || exit $$code; }

.PHONY: clean
clean: ## remove what was built, the cached stack included
	-cd test && go run ./cmd/stack clean
	rm -rf bin dist coverage.out
	git clean -fdxq pkg/fluxmanifests/manifests
