"""What happens in the kernel: cells become events and runs in the journal, and nothing else."""
