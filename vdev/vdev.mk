# SPDX-License-Identifier: MIT
#
# vdev/vdev.mk - the DSDT as bytes that vdev/vacpi.c includes, for the kernel and the unit tests.

DSDT_OUT := build/dsdt
DSDT_INC := $(DSDT_OUT)/dsdt.inc
VACPI_OBJS := build/vdev/vacpi.o build/tests/unit/obj/vdev/vacpi.o

$(VACPI_OBJS): $(DSDT_INC)
build/vdev/vacpi.o: CFLAGS += -I$(DSDT_OUT)
build/tests/unit/obj/vdev/vacpi.o: UNIT_CFLAGS += -I$(DSDT_OUT)

$(DSDT_OUT)/dsdt.aml: vdev/dsdt.asl | $(DEPS_STAMP)
	echo "  IASL $<"
	mkdir -p $(@D)
	iasl -we -p $(@:.aml=) $< >$(@:.aml=.log) || { cat $(@:.aml=.log); exit 1; }

$(DSDT_INC): $(DSDT_OUT)/dsdt.aml
	od -An -v -tx1 $< | sed 's/ \(..\)/0x\1,/g' >$@
