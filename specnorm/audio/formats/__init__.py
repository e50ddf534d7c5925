"""What the bytes of each format promise about their samples, a module a format; nothing is decoded here."""
