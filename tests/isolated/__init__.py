"""What threads and interpreters of one process share, which is to be nothing."""
