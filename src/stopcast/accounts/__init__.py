"""Several accounts in one run: the file that names them, whose task it is, and the router."""
