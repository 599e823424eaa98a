"""What khod gives out to prove who one is, and what it believes of others."""
