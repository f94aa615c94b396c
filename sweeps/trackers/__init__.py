"""Where results may be shown beside the store, one file each."""
