"""Where images are and go to: registries and layouts, and copies between them."""
