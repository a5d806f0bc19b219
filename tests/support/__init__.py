"""What the tests against real peers share: targets, child processes, their commands."""
