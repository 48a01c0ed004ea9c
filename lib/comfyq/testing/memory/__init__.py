"""Every port in a dictionary: fakes for unit tests, held to the contract suites like the rest."""
