"""What the command line offers, a module a command; each imports what it needs when it runs."""
