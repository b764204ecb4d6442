# vdev/vdev.mk - the DSDT as bytes that vacpi.c includes. Set VDEV_OUT to build elsewhere.
# Whoever compiles vdev/*.c adds $(VDEV_CFLAGS) and lets vacpi.o depend on $(VDEV_DSDT).

VDEV_OUT ?= build/vdev
VDEV_DSDT := $(VDEV_OUT)/dsdt.inc
VDEV_CFLAGS := -I$(VDEV_OUT)

$(VDEV_OUT)/dsdt.aml: vdev/dsdt.asl
	@mkdir -p $(VDEV_OUT)
	iasl -we -p $(VDEV_OUT)/dsdt $< >$(VDEV_OUT)/dsdt.log || { cat $(VDEV_OUT)/dsdt.log; exit 1; }

$(VDEV_DSDT): $(VDEV_OUT)/dsdt.aml
	od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@
