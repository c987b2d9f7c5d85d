# A revision that public mirrors have.
SRCREV = "fe67c98d2e9b74af44d0c4b660fa18e3a95e7edd"
