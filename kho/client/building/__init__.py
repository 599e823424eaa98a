"""New images from folders and other images, and what is attached to them."""
