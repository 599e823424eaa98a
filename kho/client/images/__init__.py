"""Images as they are read: config, layers, files, differences."""
