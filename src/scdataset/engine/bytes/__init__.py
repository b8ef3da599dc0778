"""Where bytes come from: files of this machine, copies in the cache, and whatever else is a `ByteSource`."""
