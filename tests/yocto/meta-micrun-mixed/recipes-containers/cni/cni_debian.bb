SUMMARY = "Plugins for the networks of containers (Debian)"
LICENSE = "Apache-2.0"
DEBIAN_ORIGIN = "development"
DEBIAN_PACKAGES = "containernetworking-plugins"

inherit debian-binary
