"""The Lambda functions, each in a module that imports what that one needs."""
