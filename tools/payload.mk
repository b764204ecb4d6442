# SPDX-License-Identifier: MIT
#
# tools/payload.mk - what guests run: Debian's kernel as it is, and initrds.
# Packages are downloaded to build/debs and unpacked to build/guest-root, never
# installed. Manifests in tools/payload/ list what each initrd holds. Override
# VMLINUZ to boot another kernel (its modules must lie under GUEST_ROOT).

GUEST_ROOT  := build/guest-root
PAYLOAD     := build/payload
GUEST_STAMP := $(GUEST_ROOT)/unpacked.stamp

GUEST_PACKAGES := linux-image-amd64 busybox-static qemu-system-x86

PAYLOAD_FILES := $(addprefix $(PAYLOAD)/,vmlinuz l1-small.cpio.gz l1-qemu.cpio.gz l1-deep.cpio.gz net-linux.cpio.gz)

.PHONY: payload
payload: $(PAYLOAD_FILES)

$(GUEST_STAMP): tools/payload.mk tools/payload/fetch.sh | $(DEPS_STAMP)
	tools/payload/fetch.sh build/debs $(GUEST_ROOT) $(GUEST_PACKAGES)
	touch $@

$(PAYLOAD)/vmlinuz: $(GUEST_STAMP)
	mkdir -p $(@D)
	cp $(or $(VMLINUZ),$(GUEST_ROOT)/boot/vmlinuz-*) $@

$(PAYLOAD)/l2-hello: tests/l2/l2_hello.c | $(DEPS_STAMP)
	echo "  CC   $<"
	mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Wconversion -Wshadow -Werror -static -s -o $@ $<

# The QEMU initrd carries what its L2 needs.
$(PAYLOAD)/l1-small.cpio.gz: $(PAYLOAD)/l2-hello
$(PAYLOAD)/l1-qemu.cpio.gz: $(PAYLOAD)/l2-hello $(PAYLOAD)/vmlinuz $(PAYLOAD)/l2.cpio.gz \
	tools/payload/l1-small.manifest tools/payload/run-l2-linux.sh
$(PAYLOAD)/l1-deep.cpio.gz: $(PAYLOAD)/l1-qemu.cpio.gz $(PAYLOAD)/l1-small.cpio.gz

$(PAYLOAD)/%.cpio.gz: tools/payload/%.manifest tools/payload/mkinitrd.py $(GUEST_STAMP) \
		$(wildcard tools/payload/*.sh)
	echo "  CPIO $@"
	$(PYTHON) tools/payload/mkinitrd.py -r $(GUEST_ROOT) -o $@ $<

# Xen with dom0's tools, for `make run-xen` alone: these packages draw in others.
XEN_ROOT     := build/xen-root
XEN_STAMP    := $(XEN_ROOT)/unpacked.stamp
XEN_PACKAGES := xen-hypervisor-4.17-amd64 xen-utils-4.17

.PHONY: xen-payload
xen-payload: $(addprefix $(PAYLOAD)/,xen.elf vmlinuz xen-dom0.cpio.gz)

$(XEN_STAMP): tools/payload.mk tools/payload/fetch.sh | $(DEPS_STAMP)
	tools/payload/fetch.sh build/debs $(XEN_ROOT) $(XEN_PACKAGES)
	touch $@

# Unpacked, as GRUB would do.
$(PAYLOAD)/xen.elf: $(XEN_STAMP)
	mkdir -p $(@D)
	gzip -dc $(XEN_ROOT)/boot/xen-4.17-amd64.gz >$@

# The root with the kernel's modules comes first: what both have is the same.
$(PAYLOAD)/xen-dom0.cpio.gz: tools/payload/xen-dom0.manifest tools/payload/mkinitrd.py \
		tools/payload/init-xen-dom0.sh tools/payload/xen-l2.cfg \
		$(PAYLOAD)/vmlinuz $(PAYLOAD)/l2.cpio.gz $(GUEST_STAMP) $(XEN_STAMP)
	echo "  CPIO $@"
	$(PYTHON) tools/payload/mkinitrd.py -r $(GUEST_ROOT) -r $(XEN_ROOT) -o $@ $<
