"""The rules of the house as tests (docs/architecture.md, CONTRIBUTING.md)."""
