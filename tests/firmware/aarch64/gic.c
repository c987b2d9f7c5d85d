// SPDX-License-Identifier: Apache-2.0
// Register names and bits: Arm IHI 0069 (GICv3), chapter 12. Addresses: QEMU's virt machine.
#include "gic.h"

#include <stddef.h>

#include "io.h"

#define GICD_BASE		0x08000000ul
#define GICD_CTLR		(GICD_BASE + 0x0000)
#define GICD_IROUTER(n)		(GICD_BASE + 0x6000 + 8ul * (n))
#define GICD_CTLR_GRP1		(1u << 1)
#define GICD_CTLR_ARE		(1u << 4)
#define GICD_CTLR_RWP		(1u << 31)

#define GICR_BASE		0x080a0000ul
#define GICR_STRIDE		0x20000ul // the control frame and the SGI frame
#define GICR_SGI_FRAME		0x10000ul
#define GICR_TYPER		0x0008
#define GICR_TYPER_LAST		(1ull << 4)
#define GICR_WAKER		0x0014
#define GICR_WAKER_SLEEP	(1u << 1)
#define GICR_WAKER_ASLEEP	(1u << 2)

// At the same offsets in the distributor (shared interrupts) and the SGI frame (the core's own).
#define GIC_IGROUPR(n)		(0x0080 + 4ul * ((n) / 32))
#define GIC_ISENABLER(n)	(0x0100 + 4ul * ((n) / 32))
#define GIC_ICENABLER(n)	(0x0180 + 4ul * ((n) / 32))
#define GIC_ICACTIVER(n)	(0x0380 + 4ul * ((n) / 32))
#define GIC_IPRIORITYR(n)	(0x0400 + (n))

#define PRIVATE_PERIPHERALS	0xffff0000u // INTID 16 to 31
#define FIRST_SHARED		32u
#define PRIORITY_ALL		0xff

static uintptr_t redistributor;

bool gic_present(void)
{
	return (read_sysreg(id_aa64pfr0_el1) >> 24 & 0xf) != 0;
}

// MPIDR_EL1's affinity fields as GICR_TYPER and GICD_IROUTER arrange them.
static uint64_t own_affinity(void)
{
	return read_sysreg(mpidr_el1) & 0xff00fffffful;
}

static uintptr_t find_redistributor(void)
{
	uint64_t mpidr = own_affinity();
	uint32_t affinity = (uint32_t)(mpidr >> 32 << 24 | (mpidr & 0xffffff));
	uintptr_t frame = GICR_BASE;

	for (;;) {
		uint64_t typer = read64(frame + GICR_TYPER);

		if (typer >> 32 == affinity || typer & GICR_TYPER_LAST)
			return frame;
		frame += GICR_STRIDE;
	}
}

void gic_enable_distributor(void)
{
	write32(GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
	while (read32(GICD_CTLR) & GICD_CTLR_RWP)
		;
}

// An interrupt whose handler did not return, but switched the core off, would stay active and never come again.
static void quieten(void)
{
	write32(redistributor + GICR_SGI_FRAME + GIC_ICENABLER(0), PRIVATE_PERIPHERALS);
	write32(redistributor + GICR_SGI_FRAME + GIC_ICACTIVER(0), 0xffffffff);
}

void gic_init_core(void)
{
	redistributor = find_redistributor();
	write32(redistributor + GICR_WAKER, read32(redistributor + GICR_WAKER) & ~GICR_WAKER_SLEEP);
	while (read32(redistributor + GICR_WAKER) & GICR_WAKER_ASLEEP)
		;
	quieten();

	write_sysreg(s3_0_c12_c12_5, 7); // ICC_SRE_EL1: system registers, no bypass
	isb();
	write_sysreg(s3_0_c12_c12_3, 0);	    // ICC_BPR1_EL1: every priority bit preempts
	write_sysreg(s3_0_c4_c6_0, PRIORITY_ALL);   // ICC_PMR_EL1
	write_sysreg(s3_0_c12_c12_7, 1);	    // ICC_IGRPEN1_EL1
	isb();
}

void gic_leave_core(void)
{
	if (!redistributor)
		return;
	quieten();
	write_sysreg(s3_0_c12_c12_7, 0); // ICC_IGRPEN1_EL1
	isb();
}

void gic_enable(uint32_t intid, uint8_t priority)
{
	uintptr_t frame = redistributor + GICR_SGI_FRAME;
	uint32_t bit = 1u << intid % 32;

	if (intid >= FIRST_SHARED) {
		frame = GICD_BASE;
		write64(GICD_IROUTER(intid), own_affinity());
	}
	write32(frame + GIC_IGROUPR(intid), read32(frame + GIC_IGROUPR(intid)) | bit);
	write8(frame + GIC_IPRIORITYR(intid), priority);
	write32(frame + GIC_ISENABLER(intid), bit);
}
