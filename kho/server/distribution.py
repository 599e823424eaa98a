"""The settings of registry:2: its config.yml and REGISTRY_* variables, as settings of khod."""
