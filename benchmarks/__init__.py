"""How fast the package is, beside what a user would write instead: `make bench`."""
