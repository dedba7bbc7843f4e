"""Files to pages: decode, gate quality, account for every page."""
