# containerd's own shim runs what is called runc: with micrun that is crun. It is meta-virtualization's default too, but
# not one that another layer may change unnoticed.
CRUN_AS_RUNC = "true"
