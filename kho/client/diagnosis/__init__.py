"""What is wrong between here and a registry."""
