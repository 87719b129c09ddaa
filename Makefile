# Bastide. `make help` lists the targets; each brings what it needs, from python3 and apt alone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

LAB ?= lab
MINUTES ?= 10
INVENTORY ?= inventory/lab.py
MTA ?= $(or $(BASTIDE_MTA),postfix)
KIND ?= container
# The Python of the gateways that the wheelhouse is for; empty: Debian 12's, which EL 9 has too.
ABI ?= $(if $(filter debian13,$(PLATFORM)),cp313)
LEVEL ?= $(or $(BASTIDE_LEVEL),moderate)
export BASTIDE_LAB := $(LAB)
# The MTA of a lab's gateways and how far they are hardened: inventory/lab_settings.py.
export BASTIDE_MTA := $(MTA)
export BASTIDE_LEVEL := $(LEVEL)
export BASTIDE_ACCEPT_KIND := $(KIND)
# What a gateway of the acceptance tests runs: debian12, debian13 or el.
export BASTIDE_ACCEPT_PLATFORM := $(or $(PLATFORM),debian12)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV_VERSION := 0.13.9
CODE := filterd roles audit publish lab docs tests deploy.py inventory
# Debian's packages that the lab and its hosts are made with, what filterd loads, and the tests' second database.
# Vagrant is only for `make check`.
APT_LAB := apt-utils bind9-dnsutils ca-certificates createrepo-c iproute2 iptables libarchive13 mmdebstrap nmap openssh-client postgresql python3-venv rpm slapd ssh-audit systemd-container testssl.sh
# What gateways that are virtual machines need besides.
APT_VM := e2fsprogs fdisk qemu-system-x86

.PHONY: help setup demo test unit accept chaos check fmt lab-up lab-down deploy audit bench wheel

help: ## show this text
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(READY) ## install what all other targets need: Debian packages (as root) and the locked Python environment

$(READY): pyproject.toml uv.lock Makefile
	@.ci/packages $(APT_LAB)
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -c 'import importlib.metadata as m, sys; sys.exit(m.version("uv") != "$(UV_VERSION)")' 2>/dev/null \
	  || $(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --frozen --quiet --python $(BIN)/python
	@touch $@

# $(call tried,NAME,ARGUMENTS): run pytest. Two cores do the work of many hosts and their clocks do not wait, so that a test which
# failed beside others is tried once more with none beside it; the first failure stays in what is shown.
define tried
$(BIN)/pytest -o cache_dir=.pytest_cache/$(1) $(2) || { test $$? -eq 1; echo "Once more, each alone:"; \
  $(BIN)/pytest -o cache_dir=.pytest_cache/$(1) $(2) -n 0 --last-failed --last-failed-no-failures none --maxfail 9; }
endef

demo: lab-up deploy ## build a lab, provision a gateway in it, attack it, print what held; MTA=sendmail for the other MTA, LEVEL=paranoid
	$(BIN)/python -m audit --strict $(INVENTORY)

# The unit tests want the processor and the acceptance tests mostly wait: side by side they take little longer than either.
test: $(READY) ## all tests: unit beside acceptance in labs of their own; what each says is shown when it has ended
	$(MAKE) --jobs=2 --output-sync=target unit accept

unit: $(READY) ## tests without host, root or network
	$(call tried,unit,-n auto --maxprocesses 4 --dist worksteal tests/chaos tests/fuzz tests/unit)

chaos: $(READY) wheel ## kill, reload and restart filterd under traffic, on a live gateway too (as root); MINUTES=10 of it
	$(BIN)/python -m tests.chaos --minutes $(MINUTES)

accept: $(READY) wheel ## tests against live hosts in labs of their own (as root); MTA=sendmail; PLATFORM=el; KIND=vm: what wants a kernel of its own
	@$(if $(filter vm,$(KIND)),.ci/packages $(APT_VM))
	$(if $(filter vm,$(KIND)),$(BIN)/pytest -v tests/acceptance,$(call tried,accept,-n $(if $(BASTIDE_ACCEPT_LAB),0,3) --dist loadfile --no-loadscope-reorder tests/acceptance))

check: $(READY) ## linters, types, stale pages, the Vagrantfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m docs.generate --check
	@.ci/packages vagrant
	cd vagrant && vagrant validate --ignore-provider

fmt: $(READY) ## format the code, mend what the linter can mend, write the generated pages anew
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python -m docs.generate

lab-up: $(READY) ## start the lab (as root); LAB=name for another one, KIND=vm for a gateway that boots a kernel of its own, PLATFORM=debian13 or el
	@$(if $(filter vm,$(KIND)),.ci/packages $(APT_VM))
	$(BIN)/python -m lab up --name $(LAB) --kind $(KIND)$(if $(PLATFORM), --platform $(PLATFORM))

lab-down: $(READY) ## stop the lab and leave nothing of it behind but its cache
	$(BIN)/python -m lab down --name $(LAB)

deploy: $(READY) wheel ## provision the hosts of INVENTORY (inventory/lab.py)
	$(BIN)/python -m roles apply $(INVENTORY)

audit: $(READY) ## try every claim against the hosts of INVENTORY; exit 2 on findings, 3 if it could not
	$(BIN)/python -m audit $(INVENTORY)

bench: $(READY) ## print filterd's cost as ratios to floors of the same run (with a lab: .venv/bin/python -m tests.bench.spam LAB)
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.parts
	$(BIN)/python -m tests.bench.processor
	$(BIN)/python -m tests.bench.sessions

wheel: $(READY) ## build filterd's hash-locked wheelhouse, dist/wheelhouse/ABI (ABI=cp313 for Debian 13)
	$(BIN)/python -m roles.filterd.wheelhouse $(if $(ABI),--abi $(ABI))
