"""Getting Dolt onto this machine: its official release archive, else a build with the Go toolchain."""
