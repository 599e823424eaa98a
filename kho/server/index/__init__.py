"""Who may, and what happened: accounts, credentials, tokens, access, audit."""
