// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of an instance's device: Documentation/sysfs-mica-rproc.
 */
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>

#include "exit_record.h"
#include "monitor.h"
#include "phase.h"
#include "psci.h"
#include "sysfs.h"

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
	NULL
};

static const struct attribute_group mica_group = {
	.attrs = mica_attrs,
};

const struct attribute_group *mica_groups[] = {
	&mica_group,
	NULL
};
