# containerd's own shim runs the program with the name runc. With micrun that is crun. meta-virtualization has the same
# default. It is set here so that no other layer can change it unnoticed.
CRUN_AS_RUNC = "true"
