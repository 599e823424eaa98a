"""The wire: speak the distribution protocol to any registry."""
