"""Arrays and maps in files: readers, writers, layouts, identities; nothing here knows what a scene is."""
