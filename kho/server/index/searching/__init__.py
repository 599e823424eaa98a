"""Search: what was asked, where it is looked for, why it was found."""
