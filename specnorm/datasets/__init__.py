"""Labelled audio behind one interface: an archive of clips and a table that labels them."""
