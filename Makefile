# Every command that a person or CI runs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
SEEDS ?= 200
FIRST_SEED ?= 1
STATES ?= 1000000
RUNS ?= 20000
FINDS ?= 10
CHAOS_SEED ?= $(shell od -An -N3 -tu4 /dev/urandom | tr -d " ")
CHAOS_SAGAS ?= 20000
SOAK_MINUTES ?= 30
FUZZ_SECONDS ?= 300
FUZZ_REQUESTS ?= 5000
HTTP_FUZZ ?= 60
# Loads with the plain saga, shapes at two loads.
BENCH_LOADS ?= --in-flight 1,64,256,1024 --ends completed,compensated,mixed --open 0.5,0.8
BENCH_SHAPES ?= --in-flight 64,256 --steps 3,30 --shape sequence,parallel --ends completed,compensated

.PHONY: help build demo test check fix lint fmt deny unit editor mutants sim chaos sim-exhaustive model bench bench-smoke bench-micro bench-store stress stress-redis takeover rolling deploy search-scale scale soak overload fuzz fuzz-rpc fuzz-http hour tools screens clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

build: ## all binaries, in target/debug
	$(CARGO) build --locked --workspace --bins

demo: ## coordinator, three participants and a stream of sagas; no server to install. STORE=redis: on a Redis of its own
	$(CARGO) build --locked -p amends -p amends-account -p amends-inventory -p amends-payment
	PATH="$$PATH:target/tools" target/debug/amends demo $(if $(STORE),--store $(STORE)) $(ARGS)

test: tools ## everything that CI runs
	.ci/stages

check: lint unit ## lints and tests, without installing anything

lint: ## formatting and clippy; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fix: ## formats
	$(CARGO) fmt --all

unit: ## all tests of the workspace, those of the participants on both databases
	$(CARGO) test --locked --workspace
	.ci/postgres

editor: ## what an editor completes with the published schemas; needs Node
	.ci/editor

mutants: tools ## plants each known bug in turn and shows the tests that catch it; FINDS=10 of each by the simulation, into MUTANTS.md
	target/venv/bin/python coordinator/e2e/mutants.py --finds $(FINDS) --table coordinator/e2e/MUTANTS.md

sim: ## the simulation under random faults: SEEDS=200 FIRST_SEED=1. ARGS="--totals FILE" adds slices up, "--results FILE" writes the table
	$(CARGO) run --locked --release -p amends-simulation --example sim -- --seeds $(SEEDS) --first-seed $(FIRST_SEED) $(ARGS)

sim-exhaustive: ## every single fault at every boundary of every course, one run each
	AMENDS_SIM_ONE_IN=1 $(CARGO) test --locked --release -p amends-simulation --test it exhaustive -- --nocapture

model: ## every interleaving of the ownership protocol, of each slice STATES=1000000 and RUNS=20000 more by chance; about 2 GB
	AMENDS_MODEL_STATES=$(STATES) AMENDS_MODEL_RUNS=$(RUNS) \
	$(CARGO) test --locked --release -p amends-runtime --lib -- ownership_model --nocapture

stress: build ## the kill tests, longer: 3,000 sagas and 100 kills of each process; fewer on Postgres, and in Python and Go
	AMENDS_KILL_SAGAS=3000 AMENDS_KILLS=100 AMENDS_KILL_POSTGRES_SAGAS=1500 AMENDS_KILLS_POSTGRES=50 \
	AMENDS_LANGUAGES_SAGAS=600 AMENDS_LANGUAGES_KILLS=25 $(CARGO) test --locked -p amends-e2e kill -- --nocapture

stress-redis: build ## the tests of coordinators on Redis, longer: kills, pauses, power cuts and fail-overs
	AMENDS_REDIS_KILLS=20 AMENDS_REDIS_POWER_CUTS=10 AMENDS_NODE_KILLS=20 AMENDS_NODE_PAUSES=20 \
	AMENDS_SENTINEL_FAIL_OVERS=5 AMENDS_CLUSTER_FAIL_OVERS=5 \
	$(CARGO) test --locked -p amends-e2e --test it redis_ -- --nocapture --test-threads=1

chaos: build ## every fault on real processes while customers never stop, then the checker; needs root. CHAOS_SEED=… repeats a run
	AMENDS_CHAOS=1 AMENDS_SEED=$(CHAOS_SEED) AMENDS_CHAOS_SAGAS=$(CHAOS_SAGAS) AMENDS_CHAOS_REPORT=$(CURDIR)/target/chaos.md \
	$(CARGO) test --locked -p amends-e2e --test it chaos_full -- --nocapture --test-threads=1

takeover: build ## how long sagas stand still when one of three coordinators on Redis is killed or stopped; fails above the limits
	AMENDS_TAKEOVER_SAGAS=1000 AMENDS_TAKEOVER_STOPS=5 AMENDS_TAKEOVER_ASSERT=1 \
	$(CARGO) test --locked -p amends-e2e --test it redis_takeover -- --nocapture --test-threads=1

search-scale: ## a million finished and 100,000 open sagas on SQLite and on Redis: counts against a shadow, pages within 100 ms
	AMENDS_SEARCH_FINISHED=1000000 AMENDS_SEARCH_OPEN=100000 AMENDS_SEARCH_ROUNDS=40 AMENDS_SEARCH_ASSERT=1 \
	$(CARGO) test --locked --release -p amends-store --test it scale -- --nocapture --test-threads=1

scale: ## a million open sagas that wait, and 100,000 in flight, on SQLite and on Redis: memory, new sagas, moving again; fails above the limits
	AMENDS_SCALE_WAITING=$(or $(SCALE_WAITING),1000000) AMENDS_SCALE_IN_FLIGHT=$(or $(SCALE_IN_FLIGHT),100000) AMENDS_SCALE_SECONDS=20 AMENDS_SCALE_AWAKE=256 AMENDS_SCALE_ASSERT=1 \
	$(CARGO) test --locked --release -p amends-runtime --test it scale:: -- --nocapture --test-threads=1

soak: ## SOAK_MINUTES=30 at half of what was reached, on SQLite and on Redis: memory, descriptors and keys, plotted; fails where they grow
	$(CARGO) build --locked --release -p amends
	AMENDS_SOAK_MINUTES=$(SOAK_MINUTES) AMENDS_SOAK_RESULTS=$(CURDIR)/coordinator/docs \
	$(CARGO) test --locked --release -p amends-e2e --test it soak_ -- --nocapture --test-threads=1

overload: ## twice as many starts as can be carried out, then as before: fails if something is lost or waiting stays long
	AMENDS_OVERLOAD_SECONDS=60 AMENDS_OVERLOAD_ASSERT=1 \
	$(CARGO) test --locked -p amends-server --test it overload -- --nocapture

fuzz-rpc: ## hands requests that nobody would send to every method: FUZZ_REQUESTS=5000 of each
	AMENDS_RPC_FUZZ=$(FUZZ_REQUESTS) $(CARGO) test --locked -p amends-server --test it fuzz -- --nocapture

hour: build ## ten thousand orders wait for a participant and six are stuck; three commands repair it
	AMENDS_HOUR_SAGAS=10000 $(CARGO) test --locked -p amends-e2e --test it hour_ -- --nocapture --test-threads=1

fuzz-http: build ## requests that schemathesis makes from the API's description, one answer leading to the next: HTTP_FUZZ=60 a method
	AMENDS_HTTP_FUZZ=$(HTTP_FUZZ) AMENDS_HTTP_FUZZ_SEED=$(FIRST_SEED) $(CARGO) test --locked -p amends-e2e --test it http_fuzz -- --nocapture

rolling: build ## three coordinators on Redis are updated one after the other, again and again, while orders come in
	AMENDS_ROLLING_ROUNDS=10 $(CARGO) test --locked -p amends-e2e --test it rolling_ -- --nocapture --test-threads=1

deploy: build ## reads what is in deploy/ as Docker, compose, Helm, Kubernetes, systemd and amends would
	target/venv/bin/python .ci/deploy.py

screens: build ## screenshots of every page of the console, into coordinator/docs/screens
	AMENDS_SCREENS=$(CURDIR)/coordinator/docs/screens $(CARGO) test --locked -p amends-e2e --test it browser_sees_every_page -- --nocapture

fuzz: ## hands mutated definitions, expressions, inputs and descriptors to the definition crate: FUZZ_SECONDS=300
	AMENDS_FUZZ_SECONDS=$(FUZZ_SECONDS) $(CARGO) test --locked -p amends-definition --test it fuzz -- --nocapture

bench-smoke: ## sagas/s and latency beside a floor, in one run. STORE=redis: on a Redis of its own, with what each saga cost it
	$(CARGO) build --locked --profile dist -p amends
	PATH="$$PATH:target/tools" target/dist/amends bench $(if $(STORE),--store $(STORE)) $(ARGS)

bench: ## all that coordinator/BENCHMARKS.md shows, on both stores: about 50 minutes. ARGS: less of it
	$(CARGO) build --locked --profile dist -p amends
	for what in "$(BENCH_LOADS)" "$(BENCH_SHAPES)"; do \
	  target/dist/amends bench $$what $(ARGS); \
	  PATH="$$PATH:target/tools" target/dist/amends bench --store redis $$what $(ARGS); \
	done

bench-micro: ## what the state machine, records and expressions cost by themselves. ARGS="-- saga": only those
	$(CARGO) bench --locked -p amends-engine -p amends-definition --bench transitions --bench expressions $(ARGS)
	$(CARGO) bench --locked -p amends-store --features conformance --bench records $(ARGS)

bench-store: ## transitions/s of the store alone, by batch and by callers. STORE=redis: on a Redis of its own
	$(CARGO) run --locked --release -p amends-store --features conformance --example speed -- $(STORE)

deny: ## advisories, licences, sources (installs cargo-deny if it is missing)
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	cargo-deny check --disable-fetch bans licenses sources

tools: ## what the tests need besides Rust and a C compiler
	.ci/tools

clean: ## removes build output
	$(CARGO) clean
