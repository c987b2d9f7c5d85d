// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software generated interrupts of a GICv3, between Linux and the spare core.
 */
#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/module.h>
#include <asm/barrier.h>
#include <asm/cputype.h>
#include <asm/sysreg.h>

#include "sgi.h"

/* ICC_SGI1R_EL1: Arm IHI 0069, section 12.2 */
#define SGI1R_AFF3	GENMASK_ULL(55, 48)
#define SGI1R_RS	GENMASK_ULL(47, 44)
#define SGI1R_AFF2	GENMASK_ULL(39, 32)
#define SGI1R_INTID	GENMASK_ULL(27, 24)
#define SGI1R_AFF1	GENMASK_ULL(23, 16)
#define SGI1R_TARGETS	16	/* cores per value of RS */

static unsigned int sgi = 7;	/* the one of MICA firmware */
module_param(sgi, uint, 0444);
MODULE_PARM_DESC(sgi, "software generated interrupt that wakes firmware, and by which MICA firmware calls Linux (0 to 15)");

unsigned int mica_sgi_of_firmware(void)
{
	return sgi;
}

/* The spare core as ICC_SGI1R_EL1 names it. */
u64 mica_sgi_target(const struct mica_rproc *mica)
{
	unsigned int core = MPIDR_AFFINITY_LEVEL(mica->mpidr, 0);

	return FIELD_PREP(SGI1R_AFF3, MPIDR_AFFINITY_LEVEL(mica->mpidr, 3)) |
	       FIELD_PREP(SGI1R_AFF2, MPIDR_AFFINITY_LEVEL(mica->mpidr, 2)) |
	       FIELD_PREP(SGI1R_AFF1, MPIDR_AFFINITY_LEVEL(mica->mpidr, 1)) |
	       FIELD_PREP(SGI1R_RS, core / SGI1R_TARGETS) |
	       BIT_ULL(core % SGI1R_TARGETS);
}

void mica_sgi_send(const struct mica_rproc *mica, unsigned int number)
{
	/* The core that wakes up must see all that was written before. */
	dsb(sy);
	write_sysreg_s(mica_sgi_target(mica) | FIELD_PREP(SGI1R_INTID, number),
		       SYS_ICC_SGI1R_EL1);
	isb();
}
