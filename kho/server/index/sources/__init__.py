"""Where passwords are known: embedded accounts' hashes, htpasswd files, directories."""
