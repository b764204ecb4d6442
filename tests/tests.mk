# SPDX-License-Identifier: MIT
#
# tests/tests.mk - make run, run-l2-linux, run-nest, run-xen, race, check, test, guests.
# Each target first sees to the packages, then builds everything in a make of its own: only
# then do compilers exist on a fresh machine. Runs are declared in tests/guests.cfg.

TEST_PARTS := all guest-kernels unit-programs bench-kernel
PYTEST     := $(PYTHON) -B -m pytest -q -rs --durations=8 --durations-min=5 -p no:cacheprovider -c /dev/null --rootdir=. tests/guests.cfg tests/system

.PHONY: run run-l2-linux run-nest run-xen race check test guests
run: deps
	$(MAKE) --no-print-directory all payload
	$(PYTHON) -B tests/system/run.py l1-linux build/run.log

run-l2-linux: deps
	$(MAKE) --no-print-directory all payload
	$(PYTHON) -B tests/system/run.py l2-linux build/run-l2-linux.log

# Nestling in Nestling, DEPTH of them; a small kernel in the innermost.
DEPTH := 2
run-nest: deps
	$(MAKE) --no-print-directory all guest-kernels
	$(PYTHON) -B tests/system/run.py nest-$(DEPTH) build/run-nest.log

# Debian's Xen as L1, its dom0, and a Linux domain as L2.
run-xen: deps
	$(MAKE) --no-print-directory all xen-payload
	$(PYTHON) -B tests/system/run.py xen build/run-xen.log

# COUNT VMRUNs twice while another vCPU rewrites the VMCB12. What a seed draws is always the same, so that many
# VMRUNs can be had in pieces: SEED=1, 2, ... of COUNT each.
COUNT := 1000000
SEED  := 1
race: deps
	$(MAKE) --no-print-directory all guest-kernels
	$(PYTHON) -B tests/system/run.py race build/race-$(SEED).log COUNT=$(COUNT) SEED=$(SEED)

# The network plane under ten minutes of frames that nobody should send.
net-flood: deps
	$(MAKE) --no-print-directory all payload
	$(PYTHON) -B tests/system/run.py net-flood-long build/net-flood.log </dev/null

# How fast it is, beside Linux on the same card.
net-speed: deps
	$(MAKE) --no-print-directory all payload
	$(PYTHON) -B tests/system/run.py net-speed build/net-speed.log </dev/null

# Under three minutes: guards, unit tests, the short runs.
check: deps
	$(MAKE) --no-print-directory $(TEST_PARTS) payload
	$(PYTEST) --group check

test: deps
	$(MAKE) --no-print-directory $(TEST_PARTS) payload
	$(PYTEST) --group test

# Runs in the emulators only, or some: make guests T=boot
guests: deps
	$(MAKE) --no-print-directory $(TEST_PARTS) payload
	$(PYTEST) --group test -k 'run: and $(or $(T),run:)'

# The same of Bochs alone.
.PHONY: test-bochs
test-bochs:
	$(MAKE) --no-print-directory guests T=bochs

# Where the bare CPU models and Nestling on them differ, each with its verdict.
.PHONY: diff conformance
diff:
	$(MAKE) --no-print-directory guests T=t_
	$(PYTHON) -B tests/system/differential.py

# The same runs as a table, docs/conformance.md.
conformance:
	$(MAKE) --no-print-directory guests T=t_
	$(PYTHON) -B tests/system/conformance.py
