# Every command of the project. The logic is in the scripts named here; each one says what it does when it starts.
.DEFAULT_GOAL := help
.PHONY: help run build test test-quick bench lint format fuzz deb install clean-machine clean

PRESET ?= release

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## install what is missing, build, and serve conf/demo.conf: https on 8443, http on 8080
	@tests/support/run.sh

test: ## build, and pass every test: unit (release and ASan + UBSan), fuzz corpora, end to end, attacks
	@tests/support/test.sh

test-quick: ## the end-to-end and attack tests on the ASan binary; PYTEST_ARGS="-k waf" chooses some
	@tests/support/test_quick.sh

build: ## build one preset: PRESET=release (default), debug, asan, tsan, fuzz or gcc
	@tests/support/build.sh $(PRESET)

bench: ## micro benchmarks, and the comparison with nginx and HAProxy on this machine
	@tests/support/bench.sh

lint: ## formatting, clang-tidy, shell scripts, layers; changes nothing
	@tests/support/lint.sh

format: ## rewrite the C++ sources in the project's format
	@tests/support/format.sh

fuzz: ## run every fuzz target for SECONDS_EACH (default 60) seconds
	@tests/support/fuzz.sh

deb: ## build the Debian package into dist/
	@conf/deb/build.sh

install: ## install binary, unit, rules, manual and default configuration below DESTDIR (default /)
	@tests/support/build.sh release
	@conf/deb/stage.sh "$(DESTDIR)/" build/gatehouse

clean-machine: ## repeat make test, make run and the package's installation in a fresh Debian 12 (root)
	@tests/support/clean_machine.sh

clean: ## remove everything that was built
	@rm -rf build build-* dist run
