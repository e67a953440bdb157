"""What images lie in: folders, tars and zips, read in place."""
