"""The command `ui`: a page in the browser, on this machine, that calls the functions of `verify.api`."""
