"""What every BlobStorage promises (kho/server/storage/interface.py)."""
