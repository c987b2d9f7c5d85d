// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of an instance's device: Documentation/sysfs-mica-rproc.
 */
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/version.h>

#include "exit_record.h"
#include "memory.h"
#include "monitor.h"
#include "phase.h"
#include "psci.h"
#include "sysfs.h"

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define BIN_CONST	const
#else
#define BIN_CONST
#endif

static const char * const core_states[] = {
	[MICA_CORE_ON] = "on",
	[MICA_CORE_OFF] = "off",
	[MICA_CORE_ON_PENDING] = "on_pending",
};

static ssize_t cpu_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mica->cpu);
}
static DEVICE_ATTR_RO(cpu);

static ssize_t core_state_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);
	int state = mica_psci_core_state(mica->mpidr);

	if (state < 0)
		return state;
	if (state >= ARRAY_SIZE(core_states))
		return -EIO;
	return sysfs_emit(buf, "%s\n", core_states[state]);
}
static DEVICE_ATTR_RO(core_state);

static ssize_t exit_reason_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n",
			  mica_exit_reason_name(mica->exit.reason));
}
static DEVICE_ATTR_RO(exit_reason);

static ssize_t exit_status_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mica->exit.status);
}
static DEVICE_ATTR_RO(exit_status);

/* Tells whether a monitor can pause and kill the firmware that runs. */
static ssize_t monitor_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n",
			  mica_monitor_active(mica) ? "yes" : "no");
}
static DEVICE_ATTR_RO(monitor);

static ssize_t paused_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mica_monitor_paused(mica));
}

/* Holds the remoteproc's lock, so that it neither starts nor stops meanwhile. */
static ssize_t paused_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);
	bool paused;
	int ret;

	ret = kstrtobool(buf, &paused);
	if (ret)
		return ret;
	ret = mutex_lock_interruptible(&mica->rproc->lock);
	if (ret)
		return ret;
	if (mica_phase(mica) != MICA_RUNNING)
		ret = -ENODEV;
	else if (paused)
		ret = mica_monitor_pause(mica);
	else
		ret = mica_monitor_resume(mica);
	mutex_unlock(&mica->rproc->lock);
	return ret ? ret : count;
}
static DEVICE_ATTR_RW(paused);

/* One line a register: its name, its value in hexadecimal. */
static ssize_t registers_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);
	u64 registers[MICA_REGISTERS];
	int i, len = 0, ret;

	ret = mutex_lock_interruptible(&mica->rproc->lock);
	if (ret)
		return ret;
	ret = mica_monitor_registers(mica, registers);
	mutex_unlock(&mica->rproc->lock);
	if (ret)
		return ret;
	for (i = 0; i < MICA_GENERAL_REGISTERS; i++)
		len += sysfs_emit_at(buf, len, "x%d %016llx\n", i,
				     registers[i]);
	len += sysfs_emit_at(buf, len, "sp %016llx\npc %016llx\ncpsr %016llx\n",
			     registers[i], registers[i + 1], registers[i + 2]);
	return len;
}
static DEVICE_ATTR(registers, 0400, registers_show, NULL);

/*
 * The memory of the instance. The offset in the file is the address. What the
 * caches of the core hold counts while the firmware is paused.
 */
static ssize_t memory_access(struct mica_rproc *mica, char *buf, loff_t addr,
			     size_t count, bool write)
{
	void *va = mica_memory_va(mica, addr, count);
	int ret;

	if (!va)
		return -EFAULT;
	ret = mutex_lock_interruptible(&mica->rproc->lock);
	if (ret)
		return ret;
	ret = mica_monitor_clean(mica, addr, addr + count);
	if (!write) {
		memcpy(buf, va, count);
		ret = 0;
	} else if (!ret) {
		memcpy(va, buf, count);
		/* Nothing may stay of what was there. */
		ret = mica_monitor_clean(mica, addr, addr + count);
	}
	mutex_unlock(&mica->rproc->lock);
	return ret ? ret : count;
}

static ssize_t memory_read(struct file *file, struct kobject *kobj,
			   BIN_CONST struct bin_attribute *attr, char *buf,
			   loff_t addr, size_t count)
{
	return memory_access(dev_get_drvdata(kobj_to_dev(kobj)), buf, addr,
			     count, false);
}

static ssize_t memory_write(struct file *file, struct kobject *kobj,
			    BIN_CONST struct bin_attribute *attr,
			    char *buf, loff_t addr, size_t count)
{
	return memory_access(dev_get_drvdata(kobj_to_dev(kobj)), buf, addr,
			     count, true);
}
static BIN_ATTR(memory, 0600, memory_read, memory_write, 0);

static const char * const heard_names[] = {
	[MICA_HEARD_NOTHING] = "nothing",
	[MICA_HEARD_BELL] = "interrupt",
	[MICA_HEARD_POLL] = "poll",
};

static ssize_t heard_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct mica_rproc *mica = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%s\n", heard_names[READ_ONCE(mica->heard)]);
}
static DEVICE_ATTR_RO(heard);

static struct attribute *mica_attrs[] = {
	&dev_attr_cpu.attr,
	&dev_attr_core_state.attr,
	&dev_attr_exit_reason.attr,
	&dev_attr_exit_status.attr,
	&dev_attr_heard.attr,
	&dev_attr_monitor.attr,
	&dev_attr_paused.attr,
	&dev_attr_registers.attr,
	NULL
};

static const struct attribute_group mica_group = {
	.attrs = mica_attrs,
};

const struct attribute_group *mica_groups[] = {
	&mica_group,
	NULL
};

static void mica_sysfs_remove(void *data)
{
	device_remove_bin_file(data, &bin_attr_memory);
}

/* The type of a group's list of binary files differs between kernels. */
int mica_sysfs_init(struct mica_rproc *mica)
{
	int ret = device_create_bin_file(mica->dev, &bin_attr_memory);

	return ret ? ret :
		     devm_add_action_or_reset(mica->dev, mica_sysfs_remove,
					      mica->dev);
}
