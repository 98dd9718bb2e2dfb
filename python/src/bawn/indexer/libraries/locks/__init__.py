"""What is read out of lock files, by the package manager that writes them."""
