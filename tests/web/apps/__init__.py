"""Small applications that real servers serve in the tests."""
