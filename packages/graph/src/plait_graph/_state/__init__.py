"""What isolated state is made of: values, private copies of states, merging."""
