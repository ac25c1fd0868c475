"""In by HTTP: parses, asks the domain, answers; decides nothing."""
