/* SPDX-License-Identifier: MIT */
/* vdev/dsdt.asl - the parts of the machine that a guest cannot find by probing: soft-off, the
 * serial port, the clock, and the ports that are taken. Processors are in the SSDT, which vacpi.c
 * makes to measure. Numbers agree with map.h and bus.c. */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "NSTLNG", "NESTLING", 1)
{
	Name (\_S5, Package (4) { 5, 5, 0, 0 })

	Scope (\_SB)
	{
		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
				IRQ (Edge, ActiveHigh, Exclusive) { 4 }
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 0x00, 0x02)
				IRQ (Edge, ActiveHigh, Exclusive) { 8 }
			})
		}

		/* Motherboard resources: keeps the guest from using these ports for something else. */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x04D0, 0x04D0, 0x00, 0x02)
				IO (Decode16, 0x0510, 0x0510, 0x00, 0x02)
				IO (Decode16, 0x0600, 0x0600, 0x00, 0x10)
				IO (Decode16, 0x0CF9, 0x0CF9, 0x00, 0x01)
			})
		}
	}
}
