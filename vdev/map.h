/* SPDX-License-Identifier: MIT */
/* vdev/map.h - what the ACPI tables (vacpi.c, dsdt.asl) and the devices must agree on. */
#ifndef VDEV_MAP_H
#define VDEV_MAP_H

#define VPM_EVENT_PORT 0x600
#define VPM_CONTROL_PORT 0x604
#define VPM_TIMER_PORT 0x608
#define VPM_SLEEP_S5 5 /* \_S5 in dsdt.asl */

#define VRESET_CONTROL_PORT 0xCF9
#define VRESET_CONTROL_NOW 0x06 /* reset the system */

#define VIOAPIC_GPA 0xFEC00000u
#define VLAPIC_GPA 0xFEE00000u
#define VPIT_IOAPIC_PIN 2

#endif
