# For system images: containerd's store has the firmware images of the packages (/usr/share/micrun/images) before the
# first boot, so none is imported then. lib/micrun/store.py writes it, and checks every digest.

# containerd's namespaces that have them. What is in none of these, micrun-preload imports.
MICRUN_STORE_NAMESPACES ?= "default"
# containerd's own folder.
MICRUN_STORE_ROOT ?= "${localstatedir}/lib/containerd"

python micrun_fill_store() {
    from pathlib import Path
    import micrun.store
    rootfs = Path(d.getVar("IMAGE_ROOTFS"))
    archives = sorted(rootfs.glob("usr/share/micrun/images/*.tar"))
    if not archives:
        return
    created = int(d.getVar("REPRODUCIBLE_TIMESTAMP_ROOTFS") or 0)
    try:
        names = micrun.store.fill(rootfs / d.getVar("MICRUN_STORE_ROOT").lstrip("/"), archives,
                                  d.getVar("MICRUN_STORE_NAMESPACES").split(), created)
    except micrun.store.StoreError as error:
        bb.fatal("containerd's store cannot be filled: %s" % error)
    bb.note("in containerd's store: %s" % " ".join(names))
}
micrun_fill_store[doc] = "Puts the firmware images of a system image into containerd's store"
ROOTFS_POSTPROCESS_COMMAND += "micrun_fill_store"
