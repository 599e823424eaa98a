"""The container clients people use, and the OCI suites, against a running server."""
