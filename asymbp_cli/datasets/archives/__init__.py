"""Folders, tars and zips of images, read in place."""
