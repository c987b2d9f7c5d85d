# containerd's own shim runs the program with the name runc. With micrun that is crun, unless the distro says otherwise.
# meta-virtualization has the same default; this one stays if that is given up.
CRUN_AS_RUNC ?= "true"
