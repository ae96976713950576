# HashStagram's commands, for people and for CI. `make` alone lists them.

PYTHON ?= python3
# PyPI's torch brings CUDA. For the small install without it: the index of PyTorch's CPU wheels, which
# PyTorch's "Get Started" page names.
TORCH_INDEX ?=
PHOTO ?=
# make serve: ADDRESS:PORT; whether callers need a key (on, off; else when not on loopback);
# limits, as "rate=50 burst=100": docs/operations.md has their names.
LISTEN ?=
KEYS ?=
LIMITS ?=
# on: the page offers to send feedback, which goes to .run/feedback.sqlite.
FEEDBACK ?=

BIN := .venv/bin
MAR := model_store/hashtags.mar
WEB := web/static/.vite/manifest.json
BUNDLE := models/everyday
TORCH := $(shell sed -n 's/^ *"\(torch\(vision\)\{0,1\}==[^"]*\)",/\1/p' pyproject.toml)

.PHONY: help install demo serve restart stop test lint bench mar web page screenshots
help:
	@echo "make demo [PHOTO=p]  install, build, serve, and print a photo's five hashtags"
	@echo "make serve           nginx before two TorchServe instances [LISTEN=0.0.0.0:80 KEYS=on]"
	@echo "make restart         the instances of serve one by one, with the archive of now"
	@echo "make stop            end what demo or serve started"
	@echo "make test            install, and run every test"
	@echo "make lint            ruff and mypy"
	@echo "make bench           our speed beside other servers', in five minutes; needs wrk"
	@echo "make mar             build $(MAR) from $(BUNDLE)"
	@echo "make web             build the page"
	@echo "make screenshots     of the page, into docs/"
	@echo "make install         only install, into .venv"

install: .venv/serve.installed
mar: $(MAR)
web: $(WEB)

demo: .venv/serve.installed $(MAR) page
	@$(BIN)/python -m serving.demo $(if $(filter on,$(FEEDBACK)),--feedback) $(if $(PHOTO),"$(PHOTO)")

serve: .venv/serve.installed $(MAR) page
	@$(BIN)/python -m serving.server serve $(if $(LISTEN),--listen $(LISTEN)) $(if $(KEYS),--keys $(KEYS)) \
		$(if $(LIMITS),--limits $(LIMITS)) $(if $(filter on,$(FEEDBACK)),--feedback)

restart: .venv/serve.installed $(MAR)
	@$(BIN)/python -m serving.server restart

stop:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m serving.server stop; fi

test: .venv/dev.installed $(WEB)
	$(BIN)/python -m pytest -n logical --maxprocesses=2 --max-worker-restart=0 --dist=loadfile --no-loadscope-reorder

lint: .venv/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/serve.installed
	$(BIN)/python -m benchmarks.peers --quick --json .peers/quick.json

$(MAR): build_mar.sh $(wildcard $(BUNDLE)/*) $(shell find handler -name '*.py' -o -name '*.yaml') .venv/serve.installed
	@PYTHON=$(BIN)/python ./build_mar.sh $(BUNDLE)

$(WEB): web/build.py web/icons.py $(wildcard web/frontend/*.js* web/frontend/src/*) | .venv/serve.installed
	@$(BIN)/python -m web.build

# All else works without it; `make web` shows what is wrong.
page: .venv/serve.installed
	@$(MAKE) -s $(WEB) >/dev/null 2>&1 || echo "the page is left out: make web builds it once npm reaches its registry" >&2

screenshots: demo .venv/dev.installed
	@$(BIN)/python -m benchmarks.page --screenshots docs

# An archive of another bundle is out of date, whatever its time stamp says.
ifneq ($(shell cat model_store/hashtags.bundle 2>/dev/null),$(BUNDLE))
.PHONY: $(MAR)
endif

.venv/bin/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# One `pip install` each, so that pip sees all pins at once; the stamp is newer than the pins.
.venv/serve.installed: pyproject.toml client/pyproject.toml | .venv/bin/python
	@echo "installing into .venv: some minutes, and with CUDA about 6 GB"
	$(if $(TORCH_INDEX),$(BIN)/pip install -q --index-url $(TORCH_INDEX) $(TORCH))
	$(BIN)/pip install -q -e '.[serve,web,train]' -e client
	@touch $@

.venv/dev.installed: .venv/serve.installed
	$(BIN)/pip install -q -e '.[serve,web,train,dev]' -e client
	@touch $@
