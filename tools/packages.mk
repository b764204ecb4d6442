# SPDX-License-Identifier: MIT
#
# tools/packages.mk - what must be installed on Debian 12 to build and test.
# `make deps` installs what is missing (as root) or says what to type. Nothing
# else in the build installs anything: what guests run is only unpacked, see
# tools/payload.mk. A rule that calls a tool waits for $(DEPS_STAMP), order-only.

DEPS_STAMP := build/packages.stamp

PACKAGES_BUILD := gcc libc6-dev binutils nasm acpica-tools python3 dpkg-dev xz-utils
PACKAGES_ISO   := grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools
PACKAGES_QEMU  := qemu-system-x86 ovmf
# bochs-term is the smallest of the displays that the bochs package asks for one of.
PACKAGES_BOCHS := bochs bochs-term bochsbios vgabios
PACKAGES_TEST  := libcmocka-dev python3-pytest python3-pexpect python3-prometheus-client curl
PACKAGES       := $(PACKAGES_BUILD) $(PACKAGES_ISO) $(PACKAGES_QEMU) \
	$(PACKAGES_BOCHS) $(PACKAGES_TEST)

# Debian's own interpreter: the python3-* packages above belong to it,
# whatever other python3 comes first in PATH.
PYTHON := /usr/bin/python3

.PHONY: deps
deps: $(DEPS_STAMP)

$(DEPS_STAMP): tools/packages.mk tools/install_packages.sh
	tools/install_packages.sh $(PACKAGES)
	mkdir -p $(@D) && touch $@
