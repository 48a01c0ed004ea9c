"""What is stored of sockets, beside what they follow."""
