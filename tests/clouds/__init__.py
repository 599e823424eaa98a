"""The big registries as their clients see them: logins of their own, before a real khod."""
