# What there is to do: `make` lists it.

PYTHON ?= python3
# of the ComfyUI of `make comfyui`
PORT ?= 8188

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
LOCKED := --no-deps --require-hashes --requirement
# of a tool, in the folder of the stamp
ENVIRONMENT = rm -rf $(@D) && $(PYTHON) -m venv $(@D) && \
	$(@D)/bin/python -m pip install --disable-pip-version-check -qq $(LOCKED) $<
# of Node's packages, likewise
NODE_ENVIRONMENT = rm -rf $(@D) && mkdir $(@D) && \
	cp $(<D)/package.json $(<D)/package-lock.json $(<D)/.npmrc $(@D) && \
	npm ci --ignore-scripts --no-audit --no-fund --silent --prefix $(@D)
UV_VERSION := 0.13.9
COMPILE := .tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header

# Tests start Python hundreds of times: compiled anew, each would need twice the CPU.
export PYTHONDONTWRITEBYTECODE :=

# Tests of the TypeScript SDK are skipped where there is no Node.
TYPESCRIPT := $(if $(shell command -v npm),.typescript/.made)

# Many tests wait for processes, so three at a time keep two cores busy.
AT_ONCE = $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help: ## list what there is to do
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name what; do \
		printf '  make %-10s %s\n' "$$name" "$$what"; done

.PHONY: demo
demo: .venv/.runtime ## start everything, make one picture into out/, stop everything
	@$(BIN)/comfyq demo --out out

.PHONY: up
up: .venv/.runtime ## serve until Ctrl-C
	@$(BIN)/comfyq up

.PHONY: test
test: .venv/.development .emulator/.made .fuzz/.made .facades/.made $(TYPESCRIPT) ## run every test that needs no server of yours
	$(BIN)/pytest -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder -m "not comfyui and not verify" --cov --cov-report=
	@echo "branch coverage: $$($(BIN)/coverage report --format=total) % (coverage html: out/coverage)"

.PHONY: verify
verify: .venv/.development .emulator/.made .infra/.made .fuzz/.made .facades/.made .comfy-cli/.made $(TYPESCRIPT) ## run what takes too long for every day
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder -m verify --ignore tests/infra \
		--ignore tests/integration/test_effort.py
	$(BIN)/pytest -m verify tests/integration/test_effort.py # it compares CPU times
	$(BIN)/pytest -m "not verify" --hypothesis-profile thorough $$(find tests/unit -name "test_*_properties.py")
	infra/test.sh
	$(BIN)/python -m tests.e2e.faults.chaos --jobs 200 --seconds 60 --seeds 10 --beside 3
	$(MAKE) templates newest

.PHONY: faults
faults: .venv/.development .emulator/.made ## the whole fault matrix; writes docs/faults.md
	infra/comfyui/prepare.sh .comfyui
	rm -rf out/faults
	COMFYQ_TEST_COMFYUI_DIR=.comfyui $(BIN)/pytest tests/e2e/faults
	$(BIN)/python -m tests.e2e.faults.table docs/faults.md

.PHONY: chaos
chaos: .venv/.development .emulator/.made ## random faults: 200 jobs, 60 s, 10 seeds; writes docs/faults.md
	$(BIN)/python -m tests.e2e.faults.chaos --jobs 200 --seconds 60 --seeds 10 --beside 3 --into docs/faults.md

.PHONY: bench
bench: .venv/.development .emulator/.made .bench/.made ## measure comfyq beside a client of ComfyUI and a proxy; ONLY names one part; writes docs/performance.md
	infra/comfyui/prepare.sh .comfyui
	@infra/comfyui/with.sh .comfyui $(BIN)/python -m tests.bench.report docs/performance.md $(ONLY:%=--only %)

.PHONY: bench-ws
bench-ws: .venv/.development ## measure sockets that follow jobs; writes docs/performance.md
	@$(BIN)/python -m tests.bench.sockets docs/performance.md

.PHONY: bench-scale
bench-scale: .venv/.development ## measure stores of up to a million jobs; writes docs/performance.md
	@$(BIN)/python -m tests.bench.scale docs/performance.md

.PHONY: profile
profile: .venv/.development .bench/.made ## where the CPU time of a job goes in `comfyq up`, by module
	@$(BIN)/python -m tests.bench.cpu_profile

.PHONY: soak
soak: .venv/.development ## ten minutes of 50 clients with keys, then ten times as many; SECONDS shortens it
	@$(BIN)/python -m tests.bench.soak --seconds $(or $(SECONDS),600)

.PHONY: promtool
promtool: .promtool/.made ## get Prometheus' own checker for tests of infra/monitoring, from Debian or Ubuntu

.PHONY: cost
cost: .venv/.development ## what a deployment on AWS costs a month; writes docs/cost.md
	@$(BIN)/python -m infra.cost docs/cost.md

.PHONY: aws-local
aws-local: .venv/.development .emulator/.made .infra/.made ## the whole cloud path here: real Lambda entry points, end to end
	@$(BIN)/python -m infra.aws_local test

.PHONY: infra-tools
infra-tools: .infra/.made ## install what `comfyq infra up` expands template.yaml with

.PHONY: compat
compat: .venv/.development .emulator/.made ## try every look-alike of AWS; writes docs/compatibility.md
	$(BIN)/python -m infra.compat install
	infra/namespace.sh $(BIN)/python -m infra.compat run docs/compatibility.md

.PHONY: localstack
localstack: .venv/.development .infra/.made ## a picture's whole way on LocalStack, without Docker
	$(BIN)/python -m infra.compat install LocalStack
	infra/namespace.sh $(BIN)/python -m infra.localstack

.PHONY: infra-test
infra-test: .venv/.development .emulator/.made .infra/.made ## check template.yaml and all that is deployed with it
	infra/test.sh

.PHONY: workflows
workflows: .venv/.development ## run every shipped workflow on a real ComfyUI; writes docs/workflows.md
	infra/comfyui/prepare.sh .comfyui
	@infra/comfyui/with.sh .comfyui $(BIN)/python -m tests.e2e.workflows_table docs/workflows.md

.PHONY: templates
templates: .venv/.development .templates/.made ## convert ComfyUI's official templates, by a real ComfyUI's catalogue
	infra/comfyui/prepare.sh .comfyui
	@infra/comfyui/with.sh .comfyui $(BIN)/pytest tests/integration/test_official_templates.py

.PHONY: newest
newest: .venv/.development .emulator/.made ## test the Comfy API v2 by the newest comfy-sdk, whatever the lock names
	infra/newest_sdk.sh

.PHONY: docs
docs: .venv/.runtime .docs/.made ## build the documentation into out/docs/site
	@$(BIN)/python -m infra.docs source out/docs
	@cd out/docs && NO_COLOR=1 ../../.docs/bin/zensical build --strict
	@$(BIN)/python -m infra.docs check out/docs

.PHONY: check
check: .venv/.development ## lint, security, formatting, types, import contracts, secrets
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy lib functions tests
	$(BIN)/lint-imports
	infra/secret_scan.sh

.PHONY: api-docs
api-docs: ## copy the programs of /docs and /redoc out of their npm packages
	@infra/api_docs/vendor.sh

.PHONY: page
page: .venv/.development .page/.made ## check the web page's scripts, by TypeScript and the API's own types
	infra/page/check.sh

.PHONY: page-pictures
page-pictures: .venv/.development .page/.made ## make the pictures of the documentation anew, by tests of the page
	COMFYQ_TEST_PICTURES=docs/how-to/page $(BIN)/pytest -q tests/e2e/page -m "not verify"

.PHONY: captures
captures: .venv/.development ## make the documentation's screens of a terminal anew, by tests of the commands
	COMFYQ_TEST_CAPTURES=1 $(BIN)/pytest -q tests/e2e/test_terminal.py -m verify

.PHONY: audit
audit: .venv/.development .audit/.made ## ask PyPI for known vulnerabilities of what the locks name
	@$(BIN)/python -m infra.audit

.PHONY: comfyui
comfyui: ## prepare a real ComfyUI for the CPU and start it on port 8188, or PORT
	infra/comfyui/prepare.sh .comfyui
	infra/comfyui/start.sh .comfyui $(PORT)
	@echo "stop it with infra/comfyui/stop.sh"

.PHONY: emulator
emulator: .emulator/.made ## install the AWS look-alike that --backend emulator starts

.PHONY: lock
lock: .tools/.made ## resolve every dependency again
	$(COMPILE) pyproject.toml --upgrade --extra all --group build --output-file requirements.lock
	$(COMPILE) pyproject.toml --upgrade --extra all --group build --group dev \
		--constraint requirements.lock --output-file requirements-dev.lock
	$(COMPILE) pyproject.toml --upgrade --extra api --extra aws --extra oidc --extra otel \
		--constraint requirements.lock --output-file functions/requirements.lock
	$(COMPILE) pyproject.toml --upgrade --extra worker --extra cli --extra aws --extra minio \
		--extra otel --group build --constraint requirements.lock --output-file infra/worker/requirements.lock
	$(COMPILE) infra/emulator/requirements.in --upgrade \
		--output-file infra/emulator/requirements.lock
	$(COMPILE) infra/requirements.in --upgrade --output-file infra/requirements.lock
	$(COMPILE) infra/docs/requirements.in --upgrade --output-file infra/docs/requirements.lock
	$(COMPILE) infra/bench/requirements.in --upgrade --output-file infra/bench/requirements.lock
	$(COMPILE) infra/templates/requirements.in --upgrade \
		--output-file infra/templates/requirements.lock
	$(COMPILE) infra/fuzz/requirements.in --upgrade --output-file infra/fuzz/requirements.lock
	$(COMPILE) infra/facades/requirements.in --upgrade --output-file infra/facades/requirements.lock
	$(COMPILE) infra/comfy_cli/requirements.in --upgrade \
		--output-file infra/comfy_cli/requirements.lock
	$(COMPILE) infra/audit/requirements.in --upgrade --output-file infra/audit/requirements.lock
	$(COMPILE) infra/compat/localstack.in --upgrade --output-file infra/compat/localstack.lock
	$(COMPILE) infra/compat/seaweedfs.in --upgrade --output-file infra/compat/seaweedfs.lock

# A stamp is touched when its environment is whole; what was interrupted is made again.

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "comfyq needs Python 3.11 or later; name one: make PYTHON=python3.12" >&2; exit 1; }

.venv/.made: | python
	@echo "making .venv"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/.runtime: requirements.lock pyproject.toml | .venv/.made
	@echo "installing what comfyq needs"
	@$(PIP) $(LOCKED) requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# in the same environment, so after what is above
.venv/.development: requirements-dev.lock .venv/.runtime
	@echo "installing what tests and checks need"
	@$(PIP) $(LOCKED) requirements-dev.lock
	@touch $@

.emulator/.made: infra/emulator/requirements.lock | python
	@echo "installing the emulator"
	@$(ENVIRONMENT)
	@touch $@

.infra/.made: infra/requirements.lock | python
	@echo "installing what template.yaml is expanded and checked with"
	@$(ENVIRONMENT)
	@touch $@

.docs/.made: infra/docs/requirements.lock | python
	@echo "installing what the documentation is built with"
	@$(ENVIRONMENT)
	@touch $@

.templates/.made: infra/templates/requirements.lock | python
	@echo "installing ComfyUI's official templates"
	@$(ENVIRONMENT)
	@touch $@

.bench/.made: infra/bench/requirements.lock | python
	@echo "installing the proxy that comfyq is measured beside, and a profiler"
	@$(ENVIRONMENT)
	@touch $@

.fuzz/.made: infra/fuzz/requirements.lock | python
	@echo "installing what fuzzes the API"
	@$(ENVIRONMENT)
	@touch $@

.facades/.made: infra/facades/requirements.lock | python
	@echo "installing clients of the facades"
	@$(ENVIRONMENT)
	@touch $@

.comfy-cli/.made: infra/comfy_cli/requirements.lock | python
	@echo "installing Comfy's own command line"
	@$(ENVIRONMENT)
	@touch $@

.audit/.made: infra/audit/requirements.lock | python
	@echo "installing what asks for known vulnerabilities"
	@$(ENVIRONMENT)
	@touch $@

.page/.made: infra/page/package-lock.json infra/page/package.json
	@echo "installing what the page is checked with"
	@$(NODE_ENVIRONMENT)
	@touch $@

.typescript/.made: infra/typescript_sdk/package-lock.json infra/typescript_sdk/package.json
	@echo "installing the TypeScript SDK of the Comfy API v2"
	@$(NODE_ENVIRONMENT)
	@touch $@

.promtool/.made:
	@rm -rf .promtool && mkdir .promtool
	cd .promtool && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@

.tools/.made: Makefile | python
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --disable-pip-version-check -qq uv==$(UV_VERSION)
	@touch $@
